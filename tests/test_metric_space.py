"""The Space of the metric: its card and its page."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hf_transferability.registration import METRIC_PATH

CARD = Path(METRIC_PATH, "README.md")


def test_the_card_is_a_metric_space():
    text = CARD.read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["sdk"] == "gradio"
    assert front["app_file"] == "app.py"
    assert front["python_version"] == "3.12"
    assert {"evaluate", "metric"} <= set(front["tags"])
    assert len(front["short_description"]) <= 60


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="gradio is not installed")
def test_the_page_can_be_built():
    """In a process of its own, because gradio leaves event loops open, which is a warning at some later time."""
    script = "import app; print({each['api_name'] for each in app.build_demo().get_config_file()['dependencies']})"
    done = subprocess.run([sys.executable, "-c", script], cwd=METRIC_PATH, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["{'score'}"], done.stderr
