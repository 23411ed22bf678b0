"""A ranking as files in the Hub's own forms: entries of evaluation results, and sections of model cards with provenance.

Nothing is sent. An entry belongs to the repository of its checkpoint, whose owner decides about it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml
from huggingface_hub.utils import yaml_dump

from hf_transferability import files
from hf_transferability.escaping import markdown
from hf_transferability.metrics import get_metric
from hf_transferability.names import expanded, file_name
from hf_transferability.publishing import score_rows

_TASK = "image-classification"  # as the Hub calls it, also with several labels
_OTHER_TASK = "other"  # numbers to predict
_NAMED = ("flags", "scenario")  # facts that need their name where they stand in one sentence
_ABOUT = (
    "Estimated by `hf-transferability` without fine-tuning, to choose a checkpoint to fine-tune. Higher is better; a score "
    "with a pool compares its candidates only. For research; not for clinical decisions."
)


def export(document: Mapping[str, Any], folder: str | Path, source_url: str | None = None) -> list[Path]:
    """Write the scores of every candidate in the Hub's own forms.

    CHECKPOINT/README.md holds a section of a model card with its metadata, and CHECKPOINT/.eval_results/ the entries of
    evaluation results, these only for a checkpoint and a target on the Hub.

    Args:
        document: `Ranking.to_dict()`.
        folder: made if it does not exist.
        source_url: address of the dataset in which the rows were published.

    Returns:
        The files.

    Raises:
        UsageError: a ranking without provenance, or a folder that cannot be made.
    """
    root, written = expanded(folder), []
    places: set[Path] = set()
    for source, rows in _by_source(document).items():
        place, count = root / re.sub(r"[^\w.@-]", "-", file_name(source)).lstrip("."), 1
        while place in places:  # other names may become the same
            count += 1
            place = place.with_name(f"{place.name}-{count}")
        places.add(place)
        task = _OTHER_TASK if document["dataset"].get("task") == "regression" else _TASK
        contents = {place / "README.md": model_card(rows, source_url, task)}
        if entries := entries_path(rows):
            contents[place / entries] = eval_results(rows, source_url)
        for path, text in contents.items():
            files.make_folder(path.parent, "export")
            files.write_file(path, text.encode())
            written.append(path)
    return written


def rows_of(document: Mapping[str, Any], checkpoint: str) -> list[dict[str, Any]]:
    """The rows of the table `scores` with a score of one candidate of `Ranking.to_dict()`, by its name there."""
    row = next(row for row in document["rows"] if row["checkpoint"] == checkpoint)
    return _by_source(document).get(score_rows.source(row), [])


def _by_source(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Source -> its rows of the table `scores` with a score; only the sources that have any."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in score_rows.scores(document, "export").to_dict("records"):
        row = {str(name): _given(value) for name, value in record.items()}
        if row["score"] is not None:
            found.setdefault(row["source"], []).append(row)
    return found


def entries_path(rows: Sequence[Mapping[str, Any]]) -> Path | None:
    """Where the entries of these rows lie in the repository of their checkpoint; None if it or the target is not on the Hub."""
    if rows[0]["dataset_revision"] is None or str(rows[0]["checkpoint_revision"]).startswith("sha256:"):
        return None
    name = re.sub(r"[^\w.-]", "-", file_name(rows[0]["dataset"]))
    return Path(".eval_results", f"hf-transferability-{name}.yaml")


def eval_results(rows: Sequence[Mapping[str, Any]], source_url: str | None = None, run: Mapping[str, Any] | None = None) -> str:
    """Rows of the table `scores`, of one checkpoint, as the text of a file in `.eval_results/`.

    Args:
        rows: at least one.
        source_url: address of the dataset in which the rows were published.
        run: a fine-tuning run of the checkpoint on the same dataset, of the table `runs`: the first entry is its test AUC.
    """
    entries = [_entry_of_run(run)] if run else []
    entries += [
        EvalResultEntry(
            dataset_id=row["dataset"],
            task_id=row["metric"],
            value=row["score"],
            dataset_revision=row["dataset_revision"],
            date=row["date"],
            source_url=source_url,
            source_name="hf-transferability" if source_url else None,
            notes="; ".join(
                [
                    f"estimate without fine-tuning; commit {row['checkpoint_revision']}",
                    *(f"{name} {fact}" if name in _NAMED else fact for name, fact in _facts(row).items()),
                ]
            ),
        )
        for row in rows
    ]
    return yaml_dump(eval_result_entries_to_yaml(entries))


def _entry_of_run(run: Mapping[str, Any]) -> EvalResultEntry:
    """What the checkpoint reached on the test split after a run. It names no source, as the run is published nowhere."""
    facts = (
        f"test AUC after fine-tuning for {run['best_epoch']} of at most {run['epochs']} epochs, of weights that "
        "are not in this repository",
        f"fine-tuned from commit {run['checkpoint_revision']}",
        f"learning rate {run['learning_rate']:g}, momentum {run['momentum']:g}, batches of {run['batch_size']}, "
        f"seed {run['seed']}",
        f"{run['sample_size']} training images, {run['validation_images']} for validation, {run['test_images']} for test, "
        f"of the splits {run['split'].replace('; ', ', ')}",
        run["preprocessing"],
        _public(run["versions"]).replace("; ", ", "),
        run["hardware"],
    )
    return EvalResultEntry(
        dataset_id=run["dataset"],
        task_id="test_auc",
        value=run["test_auc"],
        dataset_revision=run["dataset_revision"],
        date=run["date"],
        notes="; ".join(facts),
    )


def model_card(rows: Sequence[Mapping[str, Any]], source_url: str | None = None, task: str = _TASK) -> str:
    """Rows of the table `scores`, of one checkpoint, as a section of its model card, below its metadata."""
    results = [
        EvalResult(
            task_type=task,
            dataset_type=row["dataset"],
            dataset_name=row["target"],
            metric_type=row["metric"],
            metric_name=get_metric(row["metric"]).label,
            metric_value=row["score"],
            dataset_config=row["dataset_config"],
            dataset_split=row["split"],
            dataset_revision=row["dataset_revision"],
            source_url=source_url,
            source_name="hf-transferability" if source_url else None,
        )
        for row in rows
    ]
    data = ModelCardData(model_name=rows[0]["checkpoint"], eval_results=results)
    return f"---\n{data.to_yaml()}\n---\n\n{section(rows, source_url)}"


def section(rows: Sequence[Mapping[str, Any]], source_url: str | None = None) -> str:
    """Rows of the table `scores`, of one checkpoint, as Markdown without metadata."""
    first = rows[0]
    shown = [(row["metric"], f"{row['score']:.4g}", _interval(row) or "", row["pool"] or "", row["variant"]) for row in rows]
    facts = {
        "checkpoint": f"{first['checkpoint']} at {first['checkpoint_revision']}",
        "dataset": f"{first['dataset']} at {first['dataset_revision'] or first['dataset_fingerprint']}",
        **{name: fact for name, fact in _facts(first).items() if name not in ("interval", "pool")},
        "versions": _public(first["versions"]),
        "date": first["date"],
        "results": source_url,
    }
    lines = [f"- {name}: {markdown.text(fact.removeprefix(f'{name} '))}" for name, fact in facts.items() if fact]
    table = markdown.table(("metric", "score", "90% interval", "pool", "form"), shown)
    return f"## Transferability to {markdown.text(first['target'])}\n\n{_ABOUT}\n\n{table}\n\n" + "\n".join(lines) + "\n"


def _facts(row: Mapping[str, Any]) -> dict[str, str]:
    """What a score was computed from, in words."""
    pool, config, flags = row["pool"], row["dataset_config"], row["flags"]
    facts = {
        "interval": f"90% interval {_interval(row)}" if _interval(row) else "",
        "pool": f"scaled over {pool}" if pool else "",
        "sample": f"{row['sample_size']:.0f} images of split {row['split']}{f' of {config}' if config else ''}, {row['draw']}, "
        f"seed {row['sample_seed']:.0f}",
        "preprocessing": row["preprocessing"] or "",
        "flags": flags or "",
        "hardware": row["hardware"] or "",
        "scenario": row["scenario"],
    }
    return {name: fact for name, fact in facts.items() if fact}


def _interval(row: Mapping[str, Any]) -> str | None:
    low, high = row["interval_low"], row["interval_high"]
    return None if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _public(versions: str) -> str:
    """Versions without the label of a build, such as +cu130, which not every source of them has."""
    return re.sub(r"\+[\w.]+", "", versions)


def _given(value: Any) -> Any:
    """A cell of a frame as a plain value; None where it is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    value = value.item() if hasattr(value, "item") else value
    return None if value != value else value
