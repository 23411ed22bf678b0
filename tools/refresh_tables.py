"""Bring the tables of metrics in the documents up to date: run `python tools/refresh_tables.py` after a change of a metric.

A table stands between the lines that `hf_transferability.reporting.metric_table` names, in README.md, in docs/, or in the
metric card.
"""

from pathlib import Path

from hf_transferability.reporting.metric_table import refreshed

ROOT = Path(__file__).resolve().parents[1]


def documents() -> list[Path]:
    """Every document that may hold a table of metrics."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "metrics" / "transferability" / "README.md"]


def main() -> None:
    """Write the tables and say which documents changed."""
    for path in documents():
        text = path.read_text("utf-8")
        if (new := refreshed(text)) != text:
            path.write_text(new, "utf-8")
            print(f"refreshed {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
