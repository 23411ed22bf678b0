"""What a person who trains on a dataset should know about how its images were read, before any training."""

from hf_transferability.data.targets import READING_FLAGS, Target
from hf_transferability.metrics._flags import describe
from hf_transferability.progress import Progress


def tell_reading(target: Target, progress: Progress) -> None:
    """Tell the account of a split, and all in its files that was reduced (bits, frames, slices, channels), a line each."""
    split = target.provenance["split"]
    flags = {flag: target.flags[flag] for flag in READING_FLAGS if flag in target.flags}
    if "windowed" not in flags and (deep := target.images.headers().deep):
        low, high = target.images.window or (None, None)
        scale = "0..65535 (float images by their own range)" if low is None else f"{low:g}..{high:g}"
        flags["windowed"] = f"{deep} of {len(target)} images by {scale}"
    progress.account(target.account)
    for flag, detail in flags.items():
        progress.note(f"split {split}: {describe(flag, detail)}")
