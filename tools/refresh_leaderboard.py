"""Make the bundled agreement anew, after a metric, a baseline or a benchmark has changed: the table over all benchmarks, and
what the page shows of each.

Usage: python tools/refresh_leaderboard.py      (half a minute)
"""

from pathlib import Path

from hf_transferability import files
from hf_transferability.benchmark import leaderboard
from hf_transferability.space import benchmarks


def main() -> None:
    """Write benchmark/leaderboard.json and space/agreement.parquet of the package."""
    document = leaderboard.leaderboard().to_dict()
    path = Path(leaderboard.__file__).parent / "leaderboard.json"
    path.write_text(files.to_json(document) + "\n", "utf-8")
    benchmarks.worked_out().to_parquet(benchmarks.AGREEMENT, index=False)


if __name__ == "__main__":
    main()
