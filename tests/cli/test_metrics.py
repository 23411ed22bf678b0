"""`hf-transferability metrics`."""

import json

from hf_transferability.cli import main


def test_metrics_are_listed_in_three_forms(capsys):
    from hf_transferability.metrics import all_metrics

    assert main(["metrics", "--format", "json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(all_metrics())
    for form in ("table", "markdown"):
        assert main(["metrics", "--format", form]) == 0
        printed = capsys.readouterr().out
        assert all(name in printed for name in all_metrics())
