"""Make the bundled table over all benchmarks anew, after a metric, a baseline or a benchmark has changed.

Usage: python tools/refresh_leaderboard.py      (half a minute)
"""

from pathlib import Path

from hf_transferability import files
from hf_transferability.benchmark import leaderboard


def main() -> None:
    """Write hf_transferability/benchmark/leaderboard.json."""
    document = leaderboard.leaderboard().to_dict()
    path = Path(leaderboard.__file__).parent / "leaderboard.json"
    path.write_text(files.to_json(document) + "\n", "utf-8")


if __name__ == "__main__":
    main()
