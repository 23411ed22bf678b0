"""The picture of the table over all benchmarks."""

import re

from hf_transferability.benchmark.leaderboard import bundled_leaderboard
from hf_transferability.reporting import plots


def test_every_method_with_a_score_is_a_row_and_its_worst_is_named():
    document = bundled_leaderboard()
    (axes,) = plots.leaderboard(document).axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert {"consensus", "transferability", "logme", "mean rank elsewhere (baseline)"} <= set(rows)
    assert columns[-1] == "worst"
    assert len(columns) == sum(column["scored"] for column in document["columns"]) + 1
    cells = {(round(text.get_position()[0]), round(text.get_position()[1])): text.get_text() for text in axes.texts}
    worst = document["worst"]["consensus"]["weighted_tau"]
    assert cells[len(columns) - 1, rows.index("consensus")] == f"{worst:.2f}"
    assert "-" in cells.values()  # a benchmark that lacks the metric
    assert all(re.fullmatch(r"-|-?\d\.\d\d", text) for text in cells.values())  # one form of numbers
    assert "-0.00" not in cells.values()
    assert not any("_" in name for name in (*rows, *columns))
