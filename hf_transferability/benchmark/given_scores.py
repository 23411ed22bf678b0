"""A ranking that was saved, as scores of the sources whose fine-tuned performance is known."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hf_transferability import files
from hf_transferability.benchmark import tables
from hf_transferability.benchmark.ranking_schema import check_ranking
from hf_transferability.errors import UsageError
from hf_transferability.metrics import all_metrics

if TYPE_CHECKING:
    import pandas as pd


_FOLDER = re.compile(r"@[0-9a-f]{8}$")  # what `rankings.scores` puts behind the name of a folder


class GivenScores(NamedTuple):
    """What a file of scores holds.

    Attributes:
        scores: a table of that name.
        notes: which checkpoints are without ground truth.
        sources: a table of that name with what a ranking says of its checkpoints' size; None if the file is no ranking.
    """

    scores: "pd.DataFrame"
    notes: list[str]
    sources: "pd.DataFrame | None"


def read_scores(
    path: str | Path, ground_truth: "pd.DataFrame", scenario: str | None = None, target: str | None = None
) -> GivenScores:
    """Scores from a table of scores, or from a ranking that `rank` or `score` has saved as .json, .csv or .parquet.

    A ranking's checkpoints are matched with the ground truth's sources by their whole name, or by the last part of an id or
    path (without revision), whatever the case. In a table a local folder's NAME@SHA is matched with NAME, if there is one only.

    Args:
        path: the file.
        ground_truth: a table of that name.
        scenario: for a ranking that names none, or another.
        target: name in the ground truth of a ranking's dataset; needed where its own id does not end in one.

    Raises:
        UsageError: neither of the two, or a ranking whose target, scenario or checkpoints are not in the ground truth.
    """
    ranking = _ranking(Path(path))
    if ranking is None:
        return GivenScores(_named_as(tables.read(path, "scores"), ground_truth), [], None)
    if "dataset" in ranking:  # .json, which holds all of a ranking
        check_ranking(ranking, str(path), whole=False)
    dataset = str((ranking.get("dataset") or {}).get("id") or "")
    target = target or _match(dataset, sorted(ground_truth.target.unique()))
    if target is None:
        raise UsageError(
            f"{path} is a ranking for {dataset or 'an unnamed dataset'}, which the ground truth does not have under that name. "
            f"Say which of its targets it is with --target: {', '.join(sorted(ground_truth.target.unique()))}."
        )
    if target not in set(ground_truth.target):
        there = ", ".join(sorted(ground_truth.target.unique()))
        raise UsageError(f"the ground truth has no target {target}; it has {there}. Name one of these with --target.")
    of_target = ground_truth[ground_truth.target == target]
    scenario = scenario or ranking.get("scenario") or _only_one(of_target.scenario.unique())
    if scenario is None:
        raise UsageError(
            f"{path} does not say its scenario. Name it with --scenario: {', '.join(of_target.scenario.unique())}."
        )
    sources = sorted(of_target[of_target.scenario == scenario].source.unique())
    rows: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []
    unmatched: list[str] = []
    matched: dict[str, str] = {}
    for row in ranking["rows"]:
        source = _match(str(row["checkpoint"]), sources)
        if source is None:
            unmatched.append(str(row["checkpoint"]))
            continue
        if source in matched:
            raise UsageError(
                f"{path}: {matched[source]} and {row['checkpoint']} are both called {source}, as one source of the ground "
                "truth. Keep one of them."
            )
        matched[source] = str(row["checkpoint"])
        rows += [{"source": source, **score} for score in _scores(row, ranking.get("metric"))]
        sizes.append({"source": source, "parameters": row.get("parameters"), "feature_width": row.get("n_features")})
    if not rows:
        raise UsageError(
            f"{path}: none of its checkpoints is a source of the ground truth for {target}. Got "
            f"{', '.join(unmatched) or 'no scores'}; the sources are {', '.join(sources) or 'none'}. Give a table of "
            "scores with these names instead."
        )
    import pandas as pd

    frame = pd.DataFrame(rows).assign(benchmark="ranking", scenario=scenario, target=target)
    notes = [f"ranking {path}: {len(matched)} of {len(ranking['rows'])} checkpoints are sources of the ground truth."]
    if unmatched:
        notes.append(f"without ground truth, and left out: {', '.join(unmatched)}.")
    facts = tables.check(pd.DataFrame(sizes).assign(benchmark="ranking"), "sources", str(path))
    return GivenScores(tables.check(frame, "scores", str(path)), notes, facts)


def _named_as(scores: "pd.DataFrame", ground_truth: "pd.DataFrame") -> "pd.DataFrame":
    """The scores, with sources NAME@SHA named as the ground truth does, where that leaves no doubt."""
    known = set(ground_truth.source)
    given = [str(source) for source in scores.source.unique()]
    plain = {source: _FOLDER.sub("", source) for source in given if source not in known and _FOLDER.search(source)}
    taken = [*plain.values(), *given]
    clear = {source: name for source, name in plain.items() if name in known and taken.count(name) == 1}
    return scores.assign(source=scores.source.replace(clear)) if clear else scores


def read_document(path: str | Path) -> dict[str, Any] | None:
    """What a .json file holds if it can be a ranking and no table: an object with rows."""
    try:
        document = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # the reader of tables says what is wrong
    return document if isinstance(document, dict) and "rows" in document else None


def _ranking(path: Path) -> dict[str, Any] | None:
    """The ranking in a file, or None if it is another table."""
    try:
        ending = path.suffix.lower()
        if ending == ".json":
            document = read_document(path)
            return document if document is not None and "dataset" in document else None
        if ending in (".csv", ".parquet"):
            import pandas as pd

            frame = files.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
            if {"checkpoint", "score"} <= set(frame):
                return {"rows": frame.astype(object).where(frame.notna(), None).to_dict("records")}
    except (OSError, ValueError):
        return None  # the reader of tables says what is wrong
    return None


def _scores(row: dict[str, Any], metric: str | None) -> list[dict[str, Any]]:
    """One dict per metric of a ranking's row."""
    variant = row.get("variant") or "default"
    metrics = all_metrics()
    values = {name: row.get(name) for name in metrics}
    if metric and values.get(metric) is None:
        values[metric] = row.get("score")
    return [
        {
            "metric": name,
            "variant": variant if name not in metrics or variant in metrics[name].variants else "default",
            "score": value,
        }
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _match(name: str, known: Sequence[str]) -> str | None:
    """The known name that this one is, as a whole or by its last part."""
    plain = re.sub(r"@[^/@]*$", "", name).rstrip("/")
    wanted = [name.lower(), plain.lower(), plain.rpartition("/")[2].lower()]
    return next((name for text in wanted for name in known if name.lower() == text), None)


def _only_one(values: Any) -> str | None:
    return str(values[0]) if len(values) == 1 else None
