"""The two templates of CONTRIBUTING.md: a metric written from them is registered, documented, tested and flagged."""

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

from hf_transferability.metrics import _registry

GUIDE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
CODE, TEST = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def template(tmp_path, monkeypatch):
    """The template of a metric as a module; it is in the registry as long as the test runs."""
    monkeypatch.setattr(_registry, "_METRICS", dict(_registry.all_metrics()))
    path = tmp_path / "class_spread.py"
    path.write_text(CODE, "utf-8")
    specification = importlib.util.spec_from_file_location("class_spread", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_metric_is_registered_and_its_example_runs(template):
    assert _registry.get_metric("class_spread").function is template.class_spread
    result = doctest.testmod(template)
    assert result.failed == 0
    assert result.attempted > 0


def test_its_tests_pass(template, make_arrays, scored):
    scope: dict = {}
    exec(compile(TEST, "the template of a test", "exec"), scope)
    tests = [function for name, function in scope.items() if name.startswith("test_")]
    assert len(tests) == 3
    fixtures = {"make_arrays": make_arrays, "scored": scored}
    for function in tests:
        function(**{name: fixtures[name] for name in inspect.signature(function).parameters})


def test_its_docstring_has_every_part_that_is_required(template):
    text = template.class_spread.__doc__
    positions = [text.find(part) for part in ("Args:", "Returns:", "Raises:", "Cost:", "Smallest n:", "Example:")]
    assert positions == sorted(positions)
    assert positions[0] > 0


def test_the_helpers_that_it_lists_exist():
    for module, name in re.findall(r"`(_\w+)\.(\w+)`", GUIDE.read_text("utf-8").partition("The shared helpers")[2]):
        found = importlib.import_module(f"hf_transferability.metrics.{module}")
        assert hasattr(found, name), f"CONTRIBUTING.md names {module}.{name}, which is not there"
