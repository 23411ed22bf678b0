"""Flags: why a legal number deserves little trust. A metric warns with one; a row of results lists it."""

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

# About a metric's own number: they say little without its name, and several metrics may give one to a candidate.
OF_ONE_METRIC = {
    "unstable": "the score moves much with random seeds, or the rank with the choice of images: it may be chance",
    "saturated": "the score sits at the end of its range and cannot tell candidates apart",
    "not_converged": "an iteration stopped at its limit before it settled",
    "subsampled": "computed on a seeded subsample, because the cost grows faster than the number of images",
    "at_majority": "accuracy does not exceed the share of the largest class",
}
FLAGS: dict[str, str] = {
    "n<=d": "no more images than features: a linear fit can explain anything, so compare with care",
    "single_image_class": "a class has one image",
    "few_images_per_class": "a class has fewer than 10 images",
    "class_not_drawn": "a class of the dataset has no image in the sample: take more, or --draw stratified",
    "constant_over_pool": "it is the same for every candidate, so the pool cannot be ordered by it",
    "pool_of_one": "one candidate has no pool to be compared with: only the components are given",
    "pool_of_two": "in a pool of two the score says at most which candidate is ahead, not by how much",
    "size_unknown": "the number of parameters is not known for every candidate, so size does not count: give --parameters",
    "dropped": "--race dropped it: its score is of the images of its last stage, so it has no rank",
    "untrained": "its normalisation layers hold their initial values: never trained, so listed last and without rank",
    "at_floor": "feature quality does not exceed the value that shuffled labels give",
    "trained_on_target": "its model card names this dataset or a namesake as training data: a high score may be memory",
    "seen_images": "its source dataset holds images of this target: a high score may be memory",
    "near_constant": "images are of nearly one grey level and are not compared for duplicates: look at slice, frame and window",
    "in_test_split": "images of the sample are also in the dataset's test split: remove them from one side",
    "duplicate_labels": "images occur twice with different labels: correct or remove one of each pair",
    "no_relation": "the class means of its features differ no more than with shuffled labels: its place may be chance",
    "metric_at_floor": "a metric does not exceed the value that shuffled labels give",
    "no_source_head": "the checkpoint has no source head, so there are no source probabilities",
    "no_second_layer": "fewer than two layers could be traced, so there is no feature update ratio",
    "vit_extension": "the second layer is an attention projection, which goes beyond the paper",
    "pooler_output": "no classifier head: the features are the network's own pooled output",
    "mean_hidden_state": "no classifier head and no loaded pooler: the features are the mean of the last hidden state",
    "other_embedding": "networks of the same layers are embedded in two ways: choose one with --pooling",
    "windowed": "DICOM, NIfTI, 16-bit or float images were scaled to 8 bits",
    "one_slice": "files are volumes of several slices, of which one is used: choose by --slice and --axis",
    "several_frames": "image files hold several frames or pages, of which one is used: choose by --frame",
    "extra_channels": "image files hold channels beyond colour and alpha, which are dropped",
    "corrupt_skipped": "corrupt images were left out",
    "pickle_weights": "the weights come from a pickle file, read with weights_only",
    "constant_label_column": "a label column is the same for every image and was left out",
    **OF_ONE_METRIC,
}

# Where a caller gathers flags, instead of warnings, whose filters are shared between threads.
_collected: ContextVar[dict[str, str] | None] = ContextVar("collected", default=None)


class ScoreWarning(UserWarning):
    """A legal but uninformative input. `flag` is a key of FLAGS and goes into the row of results."""

    def __init__(self, flag: str, detail: str = ""):
        self.flag = flag
        super().__init__(describe(flag, detail))


def describe(flag: str, detail: str = "") -> str:
    """A flag with its meaning, and the numbers behind it."""
    return f"{flag}: {FLAGS[flag]}" + (f" ({detail})" if detail else "")


def warn(flag: str, detail: str = "") -> None:
    """Warn with a flag; `detail` holds the numbers behind it."""
    collected = _collected.get()
    if collected is None:
        warnings.warn(ScoreWarning(flag, detail), stacklevel=3)
    else:
        collected.setdefault(flag, detail)


@contextlib.contextmanager
def collect_flags() -> Iterator[dict[str, str]]:
    """Within it, flags of the metrics called in this thread go into a dict flag -> detail, and no warning is given."""
    flags: dict[str, str] = {}
    token = _collected.set(flags)
    try:
        yield flags
    finally:
        _collected.reset(token)
