"""What tables and pictures for people call the rows and columns of a benchmark: methods, their forms, targets and sources."""

from hf_transferability.benchmark.comparison_rows import BASELINE, CEILING
from hf_transferability.metrics import all_metrics

CEILING_NAME = "noise ceiling"
# Baselines, and metrics that published studies report and this package does not have.
_METHODS = {
    "split_half": CEILING_NAME, "mean_rank_elsewhere": "mean rank elsewhere", "parameter_count": "number of parameters",
    "feature_width": "number of features", "random": "random order", "imagenet_top1": "ImageNet top-1 accuracy",
    "pactran": "PACTran", "tmi": "TMI",
}  # fmt: skip
FORMS = {"default": "this package's form", "published": "published form"}


def method(name: str, variant: str = "", several: bool = False) -> str:
    """A metric, baseline or the ceiling; `several`: the published form says so, as this package's is beside it."""
    known = all_metrics().get(name)
    text = _METHODS.get(name) or (known.label if known else name).replace("_", " ")
    return f"{text} ({FORMS[variant]})" if several and variant == "published" else text


def kind(variant: str) -> str:
    """Whether a row is a metric, and in which form, a baseline or the ceiling."""
    if variant in FORMS:
        return f"metric, {FORMS[variant]}"
    return {BASELINE: "baseline", CEILING: CEILING_NAME}.get(variant, variant)


def target(name: str) -> str:
    """A target dataset; the mean over all of them is "all targets"."""
    return "all targets" if name == "mean" else name.replace("_", " ")


def source(name: str, scenario: str) -> str:
    """A candidate: a dataset's name in words, but the name of a network as it is."""
    return name.replace("_", " ") if scenario == "source_dataset" else name


def column(name: str) -> str:
    """A column of the table over all benchmarks."""
    return name.replace("_", " ")
