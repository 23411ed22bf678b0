"""Known elsewhere: how well a checkpoint did in other people's fine-tuning, without using the target's data.

The bundled table holds published fine-tuning results (known_results/README.md); a user's own ground truth extends it.
`known_elsewhere` is the checkpoint's mean percentile among the networks that were fine-tuned beside it. A study that holds the
target is left out as a whole, so nothing comes from the target itself.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark.target_names import same_target

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "known_results"
_CACHED_MODEL = re.compile(r"models--([^/]+?)--([^/]+)/snapshots/")  # in a path of huggingface_hub's cache
_HUB_PREFIX = re.compile(r"^(?:https?://(?:www\.)?huggingface\.co/|hf-hub:|hf_hub:)", re.IGNORECASE)
_COLUMNS = ["study", "group", "target", "medical", "name", "checkpoint", "digest", "value"]


@dataclass(frozen=True)
class Known:
    """Results of one checkpoint in other studies.

    Attributes:
        value: mean percentile, 0 (always worst) to 1 (always best), first over the studies of a target, then over targets.
        targets: number of different targets that it was fine-tuned on.
        medical: how many of them are medical.
        studies: names of the studies, sorted.
    """

    value: float
    targets: int
    medical: int
    studies: tuple[str, ...]


@dataclass(frozen=True)
class KnownResults:
    """Fine-tuning results by checkpoint.

    Attributes:
        percentiles: one row per study, group, target and checkpoint; columns study, group, target, medical (bool), name,
            checkpoint (Hub id in lower case, or empty), digest (sha256 of its weights, or of its files as `rank` has it for a
            local folder; or empty), percentile.
        other_names: target -> what else it is called.
        citations: study -> its citation.
        same_weights: Hub id in lower case -> the id under which the table has the same weights.
    """

    percentiles: "pd.DataFrame"
    other_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    citations: dict[str, str] = field(default_factory=dict)
    same_weights: dict[str, str] = field(default_factory=dict)

    def extended(self, ground_truth: "pd.DataFrame") -> "KnownResults":
        """These results with those of a table of ground truth.

        Every benchmark of the table is a study; what shares scenario, selection and measure was fine-tuned side by side. A
        source is found by `checkpoint` if that is a Hub id, else by its name if it is one, and by `weights_sha256` or
        `checkpoint_revision` where the table has them. Its own pre-training dataset counts for no source. A published copy of a
        study that is here already, so rows with a citation, adds nothing.

        Args:
            ground_truth: a checked table of that name; a column `domain` tells which targets are medical.
        """
        import pandas as pd

        copied = ground_truth.benchmark.isin(list(self.citations)) & (_column(ground_truth, "citation") != "")
        ground_truth = ground_truth[~copied]
        more = percentiles(_from_ground_truth(ground_truth, self.same_weights))
        cited = {str(study): _citation(rows) for study, rows in ground_truth.groupby("benchmark")}
        return replace(
            self,
            percentiles=pd.concat([self.percentiles, more], ignore_index=True),
            other_names=_with_datasets(self.other_names, ground_truth),
            citations={**cited, **self.citations},
        )

    def without(self, target: Iterable[str]) -> "tuple[KnownResults, list[str]]":
        """These results without the studies that hold the target, and the names of those studies.

        Args:
            target: its names: Hub id, folder, configuration.
        """
        given = [name for name in target if name]
        pairs = self.percentiles[["study", "target"]].drop_duplicates()
        holds = [same_target(given, (name, *self.other_names.get(name, ()))) for name in pairs.target]
        left_out = sorted(set(pairs.study[holds]))
        return replace(self, percentiles=self.percentiles[~self.percentiles.study.isin(left_out)]), left_out

    def of(self, checkpoint: str, digests: Sequence[str] = ()) -> Known | None:
        """The results of a checkpoint; None if there are none.

        Args:
            checkpoint: Hub id, with or without revision, in any case; or the path of a local copy, which is recognised if it
                lies in huggingface_hub's cache.
            digests: for a local copy, the sha256 of its weights file, and of its files as `rank` gives it as the revision.
        """
        table = self.percentiles
        key = hub_key(checkpoint, self.same_weights)
        wanted = {_plain_digest(digest) for digest in digests if digest}
        matching = table[((table.checkpoint == key) & (key != "")) | table.digest.isin(wanted - {""})]
        return summary(matching)


def summary(rows: "pd.DataFrame") -> Known | None:
    """The summary of one checkpoint's rows; None if there are none."""
    if rows.empty:
        return None
    targets = rows.groupby("target").agg(percentile=("percentile", "mean"), medical=("medical", "any"))
    return Known(
        float(targets.percentile.mean()), len(targets), int(targets.medical.sum()), tuple(sorted(set(map(str, rows.study))))
    )


def percentiles(results: "pd.DataFrame") -> "pd.DataFrame":
    """The results with their percentile, 0 to 1, among those of one study, group and target; ties share their mean rank.

    A result that stands alone has no percentile and is left out.
    """
    beside = results.groupby(["study", "group", "target"]).value
    size = beside.transform("size")
    ranked = results.assign(percentile=(beside.rank() - 1) / (size - 1).clip(lower=1))
    return ranked[size > 1].drop(columns="value").reset_index(drop=True)


def bundled() -> KnownResults:
    """The published results that come with the package; the caller may change the frame."""
    results = _bundled()
    return replace(results, percentiles=results.percentiles.copy())


def hub_key(checkpoint: str, same_weights: dict[str, str]) -> str:
    """The Hub id by which a table has a checkpoint: in lower case, without revision; empty if the name is no Hub id.

    Args:
        checkpoint: an id, perhaps with "@revision" or in front of it the Hub's address; or a path in huggingface_hub's cache.
        same_weights: id -> the id under which the table has it.
    """
    cached = _CACHED_MODEL.search(Path(checkpoint).as_posix() + "/")
    name = f"{cached[1]}/{cached[2]}" if cached else _HUB_PREFIX.sub("", checkpoint).partition("@")[0].strip("/")
    if name.count("/") != 1 or name.startswith((".", "~")) or "\\" in name or not name.isascii():
        return ""
    return same_weights.get(name.lower(), name.lower())


@lru_cache
def _bundled() -> KnownResults:
    import pandas as pd

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)

    twins = table("same_weights")
    twins = twins[twins.certain == "yes"]
    same_weights = dict(zip(twins.checkpoint.str.lower(), twins.same_weights_as.str.lower(), strict=True))
    targets = table("targets").set_index("target")
    mapping = table("checkpoints")
    # Where it is not certain which weights a study used, its figures count for what stood beside them only.
    mapping["checkpoint"] = [
        hub_key(checkpoint, same_weights) if certain == "yes" else ""
        for checkpoint, certain in mapping[["checkpoint", "certain"]].itertuples(index=False)
    ]
    results = pd.read_parquet(FOLDER / "results.parquet")
    results = results.merge(mapping[["study", "name", "checkpoint"]], on=["study", "name"], how="left", validate="many_to_one")
    results = results.assign(medical=results.target.map(targets.medical) == "yes", digest="")
    studies = table("studies").set_index("study")
    return KnownResults(
        percentiles(results[_COLUMNS]),
        {str(name): tuple(part.strip() for part in text.split(";") if part) for name, text in targets.other_names.items()},
        {str(name): str(text) for name, text in studies.citation.items()},
        same_weights,
    )


def _from_ground_truth(ground_truth: "pd.DataFrame", same_weights: dict[str, str]) -> "pd.DataFrame":
    """Ground truth in the columns of results."""
    import pandas as pd

    truth = ground_truth[ground_truth.source != ground_truth.target]
    return pd.DataFrame(
        {
            "study": truth.benchmark, "group": truth.scenario + " " + truth.selection + " " + truth.measure,
            "target": truth.target,
            "medical": _column(truth, "domain") == "medical", "name": truth.source,
            "checkpoint": [
                hub_key(checkpoint, same_weights) or hub_key(source, same_weights)
                for checkpoint, source in zip(_column(truth, "checkpoint"), truth.source, strict=True)
            ],
            "digest": [
                _plain_digest(weights) or _plain_digest(files)
                for weights, files in zip(_column(truth, "weights_sha256"), _column(truth, "checkpoint_revision"), strict=True)
            ],
            "value": truth.performance,
        }
    )  # fmt: skip


def _with_datasets(other_names: dict[str, tuple[str, ...]], ground_truth: "pd.DataFrame") -> dict[str, tuple[str, ...]]:
    """The other names of targets, with the ids and fingerprints of the datasets that a table names."""
    names = dict(other_names)
    for column in ("dataset", "dataset_fingerprint"):
        pairs = set(zip(ground_truth.target, _column(ground_truth, column), strict=True))
        for target, name in sorted(pairs):
            if name:
                names[target] = (*names.get(target, ()), name)
    return names


def _column(frame: "pd.DataFrame", name: str) -> "pd.Series":
    """A column of texts, empty where the frame has none."""
    import pandas as pd

    if name not in frame:
        return pd.Series("", index=frame.index)
    return frame[name].astype(object).where(frame[name].notna(), "").astype(str)


def _plain_digest(text: Any) -> str:
    """A sha256 in lower case without its prefix; empty for anything else, as a commit."""
    digest = str(text).removeprefix("sha256:").lower()
    return digest if re.fullmatch(r"[0-9a-f]{64}", digest) else ""


def _citation(rows: "pd.DataFrame") -> str:
    """The citations of a table's rows; empty for figures that were not published."""
    return "; ".join(dict.fromkeys(text for text in _column(rows, "citation") if text))
