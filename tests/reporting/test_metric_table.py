"""The list of metrics: complete, and every document that shows it is up to date."""

from pathlib import Path

import pytest

from hf_transferability.metrics import all_metrics
from hf_transferability.reporting.metric_table import END, TABLES, metric_rows, refreshed
from tools.refresh_tables import documents


def test_every_metric_is_listed_with_its_needs_and_paper():
    rows = {row["name"]: row for row in metric_rows()}
    assert set(rows) == set(all_metrics())
    for row in rows.values():
        assert row["needs"]
        assert "http" in row["paper"]
        assert row["direction"] == "higher is better"


@pytest.mark.parametrize("path", documents(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_tables_of_a_document_are_up_to_date(path: Path):
    text = path.read_text("utf-8")
    assert refreshed(text) == text, f"{path.name} has an old table of metrics: run `python tools/refresh_tables.py`"


def test_each_table_stands_in_a_document():
    texts = [path.read_text("utf-8") for path in documents()]
    assert all(any(start in text for text in texts) for start in TABLES)


def test_a_table_is_written_between_its_lines_and_nothing_else_is_touched():
    start = next(iter(TABLES))
    document = f"before\n{start}\nold\nolder\n{END}\nafter {END}\n"
    new = refreshed(document)
    assert new.startswith(f"before\n{start}\n| name |")
    assert new.endswith(f"|\n{END}\nafter {END}\n")
    assert "old" not in new.replace("threshold", "")
    assert refreshed(new) == new
