"""What is published: the scores of a ranking, or the tables in files, collected and handed to `publish`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.given_scores import read_document
from hf_transferability.errors import PublishError, TransferabilityError, UsageError
from hf_transferability.publishing import publish, score_rows

if TYPE_CHECKING:
    import pandas as pd


def publish_ranking(document: Mapping[str, Any], repo_id: str) -> publish.Published:
    """Publish a ranking's scores; candidates without any are named in the notes.

    Args:
        document: `Ranking.to_dict()`.
        repo_id: OWNER/NAME of the dataset; the rows belong to the benchmark NAME.

    Returns:
        What was changed; without an address if no candidate has a score.

    Raises:
        PublishError: see `publish.publish`; the ranking itself is complete.
    """
    rows, metrics = document["rows"], document["metric_versions"]
    failed = [row["checkpoint"] for row in rows if not score_rows.has_scores(row, metrics)]
    notes = [f"not published, as they failed: {', '.join(failed)}"] if failed else []
    if len(failed) == len(rows):
        return publish.Published(repo_id, {}, "", "nothing", notes)
    try:
        scores = score_rows.scores(document, repo_id.split("/")[1])
        published = publish.publish({"scores": scores}, repo_id)
    except TransferabilityError as error:
        raise PublishError(f"the ranking is complete, but not published: {error}") from error
    published.notes[:0] = notes
    return published


def tables_in_files(files: Sequence[str], benchmark: str | None, repository: str) -> "dict[str, pd.DataFrame]":
    """The tables in files, by name; files of one table are put together.

    Args:
        files: rankings saved as .json, and tables whose file names begin with that of the table.
        benchmark: the one that a ranking's scores belong to; default that of the tables, if they are of one, else `repository`.
        repository: last part of the id of the dataset that they are published in.

    Raises:
        UsageError: a file that is neither, or whose rows lack their provenance.
    """
    import pandas as pd

    frames: dict[str, list[pd.DataFrame]] = {}
    rankings: list[str] = []
    for file in files:
        table = next((name for name in tables.TABLES if Path(file).name.startswith(name)), None)
        is_json = Path(file).suffix.lower() == ".json"
        if is_json and (table is None or read_document(file) is not None):  # whatever its name
            rankings.append(file)
        elif table is not None:
            frames.setdefault(table, []).append(tables.check_provenance(tables.read(file, table), table, file))
        else:
            raise UsageError(
                f"{file} must be a ranking saved as .json, or a table whose file name begins with one of "
                f"{', '.join(tables.TABLES)}. Rename it."
            )
    named = {str(name) for group in frames.values() for frame in group if "benchmark" in frame for name in frame["benchmark"]}
    benchmark = benchmark or (named.pop() if len(named) == 1 else repository)
    for file in rankings:
        frames.setdefault("scores", []).append(score_rows.read(file, benchmark))
    return {
        name: tables.check(pd.concat(group, ignore_index=True), name, f"{name} in {', '.join(files)}")
        for name, group in frames.items()
    }
