"""The examples in the docstrings run, and every metric's docstring says what it must."""

import doctest
import importlib
import pkgutil

import pytest

import hf_transferability.metrics
from hf_transferability.metrics import all_metrics

MODULES = [module.name for module in pkgutil.iter_modules(hf_transferability.metrics.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    loaded = importlib.import_module(f"hf_transferability.metrics.{module}")
    result = doctest.testmod(loaded)
    assert result.failed == 0
    assert result.attempted > 0 or module.startswith("_")


@pytest.mark.parametrize("metric", all_metrics().values(), ids=lambda metric: metric.name)
def test_sections(metric):
    text = metric.function.__doc__
    positions = [text.find(part) for part in ("Args:", "Returns:", "Raises:", "Cost:", "Smallest n:", "Example:")]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert metric.summary.endswith(".")
    for name in metric.inputs:
        assert f"        {name}: [n_" in text
