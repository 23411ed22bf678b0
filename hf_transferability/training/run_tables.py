"""The tables of a grid's folder: `runs` with every finished run, and the `ground_truth` that follows from them."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.ground_truth import PAIR, PUBLISHED, from_runs
from hf_transferability.errors import UsageError
from hf_transferability.files import replace_file
from hf_transferability.training.run_files import read_run, run_files

if TYPE_CHECKING:
    import pandas as pd

BEST = 5
BEST_FEW = f"mean_of_best_{BEST}"  # the second selection of the ground truth


def collect(folder: str | Path) -> "pd.DataFrame":
    """All runs in a folder that have ended, in order, as the table `runs`.

    Raises:
        UsageError: there are none.
    """
    import pandas as pd

    files = run_files(folder)
    if not files:
        raise UsageError(f"no run in {folder} has ended. Wait for the processes that work on it, or check the path.")
    return tables.check(pd.DataFrame([read_run(file) for file in files]), "runs", str(folder))


def write_tables(folder: str | Path) -> None:
    """Write runs.parquet and ground_truth.parquet with all runs in a folder that have ended.

    Processes write one after the other, so the last one has seen every run.
    """
    folder = Path(folder)
    with FileLock(folder / ".tables.lock"):
        runs = collect(folder)
        for name, frame in (("runs", runs), ("ground_truth", ground_truth(runs))):
            content = io.BytesIO()
            frame.to_parquet(content, index=False)
            replace_file(folder / f"{name}.parquet", content.getvalue())


def ground_truth(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The table `ground_truth` of some runs, for the paper's selection and for the mean of the best five, with provenance.

    If the runs of a pair differ in provenance (in hardware, for example), it is that of the run with the lowest validation
    loss.
    """
    import pandas as pd

    best = runs[runs["status"] == "ok"].sort_values(["validation_loss", "run"]).drop_duplicates(PAIR)
    provenance = best[[*PAIR, *(name for name in tables.PROVENANCE if name in runs)]]
    figures = pd.concat([from_runs(runs, selection) for selection in (PUBLISHED, BEST_FEW)])
    return tables.check(figures.merge(provenance, on=PAIR), "ground_truth")
