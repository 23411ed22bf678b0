"""Rows of results: every column of a ranking with its meaning and unit, in the order in which they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a ranking.

    Attributes:
        meaning: what it holds; None where a candidate has no such value.
        unit: "none" for a bare number or a text.
    """

    meaning: str
    unit: str = "none"


# Further columns: one per metric (see `hf-transferability metrics`); METRIC_COMPONENT for raw numbers of a metric that exists
# only over a pool, and METRIC_floor for its highest value in five shuffles of the labels.
COLUMNS = {
    "rank": Column("place in the order, 1 first; equal scores share it"),
    "checkpoint": Column("Hub id or folder, as the user named it; a file of arrays for `score`"),
    "score": Column("value by the sorting metric; higher is better"),
    "interval": Column("90% interval of the score from half-samples: [low, high]"),
    "tie_group": Column("candidates of one group cannot be told apart by these images; 1 first"),
    "first_share": Column("share of half-samples in which the candidate is first", "share, 0 to 1"),
    "known_elsewhere": Column("mean percentile where others fine-tuned the same checkpoint; 1 always best", "share, 0 to 1"),
    "known_targets": Column("targets behind known_elsewhere", "targets"),
    "known_medical": Column("medical targets among them", "targets"),
    "known_studies": Column("studies behind known_elsewhere"),
    "feature_quality": Column("see `hf-transferability explain feature_quality`", "share, 0 to 1"),
    "feature_update_ratio": Column("see `hf-transferability explain feature_update_ratio`"),
    "n_features": Column("features that the source head takes", "features"),
    "parameters": Column("weights of the network without its source head", "weights"),
    "licence": Column("as the model card states it"),
    "revision": Column("commit, or sha256 over a local checkpoint's files"),
    "seconds": Column("time from the name to its arrays, when they were extracted", "seconds"),
    "flags": Column("reasons to trust the row less; see `hf-transferability explain FLAG`"),
    "dropped_at": Column("sample after which --race dropped the candidate; its numbers are of that sample", "images"),
    "error": Column("why the candidate has no score, and what to do"),
    "flag_details": Column("the numbers behind each flag"),
    "undefined": Column("metric -> why it has no value, for metrics that do not sort"),
    "intervals": Column("metric -> 90% interval"),
    "variant": Column("default or published form of the metrics"),
    "architecture": Column("family of the network, as its configuration names it"),
    "signature": Column("digest that candidates of one architecture share"),
    "feature_source": Column("which output of the network the features are"),
    "pooling": Column("how tokens became one vector of features"),
    "pooling_reason": Column("why that pooling: asked for, as the authors do, or the library's own"),
    "weights_used": Column("weights of the repository that the network took", "tensors"),
    "weights_left_out": Column("part of the repository -> weights that the features do not need"),
    "image_size": Column("side of the images, where --image-size set it", "pixels"),
    "model_args": Column("arguments of the network beside its configuration"),
    "adapter_of": Column("the network that an adapter was merged into"),
    "lent_processor": Column("checkpoint whose image processor was used instead"),
    "layers": Column("weights whose gradients give the feature update ratio, first and second"),
    "untrained": Column("whether all normalisation layers still hold their initial values"),
    "training_datasets": Column("as the model card states them"),
    "seen_share": Column("images of the sample that --leak-check met in its source datasets", "share, 0 to 1"),
    "preprocessing": Column("image processor and its backend"),
    "micro_batch": Column("images in memory at once", "images"),
    "device_memory": Column("largest memory that the extraction, and metrics beside it, took on the accelerator", "GiB"),
    "batches": Column("paper or balanced gradient batches"),
    "device": Column("cpu, cuda or mps"),
    "hardware": Column("model of the processor or card, and how many"),
    "date": Column("when the arrays were extracted, UTC"),
    "torch": Column("version that extracted the arrays"),
    "transformers": Column("version that loaded the network"),
}


def ordered(row: Row) -> Row:
    """The row with its columns in the order of COLUMNS; metrics and other columns follow where their kind stands."""
    known = [name for name in COLUMNS if name in row]
    return {name: row[name] for name in known} | {name: value for name, value in row.items() if name not in COLUMNS}


def label_alarm(ranking: Mapping[str, Any]) -> list[str]:
    """What a ranking's document says where the labels fit the features no better than shuffled ones; nothing elsewhere, and in
    files of versions that did not record it."""
    alarm = (ranking.get("label_check") or {}).get("alarm")
    return [alarm] if alarm else []


def ranked_rows(rows: Sequence[Row]) -> list[Row]:
    """The candidates with a score, if there are two or more, as one alone has no ranking."""
    scored = [row for row in rows if row["score"] is not None]
    return scored if len(scored) > 1 else []
