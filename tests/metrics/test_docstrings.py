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
    parts = ("Args:", "Returns:", "Raises:", "Cost:", "Smallest n:", "Example:")
    found = [part for _, part in sorted((text.find(part), part) for part in parts if part in text)]
    missing = [part for part in parts if part not in found]
    assert not missing, f"the docstring of {metric.name} must have {', '.join(missing)}: see leep.py for the form of each"
    assert found == list(parts), f"the docstring of {metric.name} must have its parts in this order: {', '.join(parts)}"
    assert metric.summary.endswith("."), f"the first sentence of {metric.name}'s docstring must end with a full stop"
    for name in metric.inputs:
        assert f"        {name}: [n_" in text, f"the docstring of {metric.name} must give the shape of {name}: '{name}: [n_...'"
