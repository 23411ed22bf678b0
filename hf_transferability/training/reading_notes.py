"""What a person who trains on a dataset should know about how its images were read, before any training."""

from hf_transferability.data.targets import READING_FLAGS, Target
from hf_transferability.metrics._flags import describe


def reading_notes(target: Target) -> list[str]:
    """The account of a split, and one line for everything in its files that was reduced: bits, frames, slices, channels."""
    split = target.provenance["split"]
    flags = {flag: target.flags[flag] for flag in READING_FLAGS if flag in target.flags}
    if "windowed" not in flags and (deep := target.images.headers().deep):
        low, high = target.images.window or (None, None)
        scale = "0..65535 (float images by their own range)" if low is None else f"{low:g}..{high:g}"
        flags["windowed"] = f"{deep} of {len(target)} images by {scale}"
    return [target.account, *(f"split {split}: {describe(flag, detail)}" for flag, detail in flags.items())]
