"""Make the bundled agreement anew, after a metric, a baseline or a benchmark has changed: the table over all benchmarks, what
the advice below a ranking rests on, and what the page shows of each benchmark.

Usage: python tools/refresh_leaderboard.py      (half a minute)
"""

from pathlib import Path

from hf_transferability import files
from hf_transferability.benchmark import leaderboard, scored_targets
from hf_transferability.space import benchmarks


def main() -> None:
    """Write benchmark/leaderboard.json, benchmark/scored_targets.json and space/agreement.parquet of the package."""
    document = leaderboard.leaderboard().to_dict()
    path = Path(leaderboard.__file__).parent / "leaderboard.json"
    path.write_text(files.to_json(document) + "\n", "utf-8")
    scored_targets.write()
    benchmarks.worked_out().to_parquet(benchmarks.AGREEMENT, index=False)


if __name__ == "__main__":
    main()
