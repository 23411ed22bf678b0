"""The list of metrics: complete, and the table in docs/metrics.md is it."""

from pathlib import Path

from hf_transferability.metrics import all_metrics
from hf_transferability.reporting.metric_table import metric_rows, to_markdown

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_every_metric_is_listed_with_its_needs_and_paper():
    rows = {row["name"]: row for row in metric_rows()}
    assert set(rows) == set(all_metrics())
    for row in rows.values():
        assert row["needs"]
        assert "http" in row["paper"]
        assert row["direction"] == "higher is better"


def test_the_table_of_the_guide_is_up_to_date():
    """After a change: `hf-transferability metrics --format markdown`, between the two markers of docs/metrics.md."""
    text = GUIDE.read_text()
    table = text.partition("<!-- metrics -->\n")[2].partition("\n<!-- end of metrics -->")[0]
    assert table == to_markdown()
