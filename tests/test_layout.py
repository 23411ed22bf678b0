"""The direction of the imports: a folder of the package imports only from itself and from those above it."""

import ast
from pathlib import Path

import hf_transferability

PACKAGE = Path(hf_transferability.__file__).parent
# From the ground floor up; docs/architecture.md says what each holds.
ORDER = [
    "errors", "arguments", "escaping", "signals", "quiet", "names", "heartbeat", "progress", "results", "files", "provenance",
    "machine", "metrics", "agreement", "hub", "data", "checkpoints", "benchmark", "catalogue", "reporting", "extraction",
    "accelerated", "ranking", "training", "publishing", "jobs", "choosing", "demo", "evaluate_module", "registration", "space",
    "cli",
]  # fmt: skip
WITHOUT_TORCH_AND_HUB = ("metrics", "agreement", "benchmark", "reporting")


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file."""
    files = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in files.items() if name not in ("__init__", "__main__")}


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, absolute."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import; name the module in full"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own_imports(path: Path) -> set[str]:
    """Dotted names, below the package, of the modules of this package that a file imports."""
    known = modules()
    return {name for found in imports(path) if (name := found.removeprefix("hf_transferability.")) in known}


def test_a_folder_imports_only_from_itself_and_from_those_above_it():
    wrong = []
    for name, path in modules().items():
        for imported in own_imports(path):
            if ORDER.index(imported.split(".")[0]) > ORDER.index(name.split(".")[0]):
                wrong.append(f"{name} imports {imported}")
    assert not wrong, f"these imports point up the list in tests/test_layout.py: {'; '.join(sorted(wrong))}"


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: own_imports(path) - {name} for name, path in modules().items()}
    remaining = dict(graph)
    while free := [name for name, used in remaining.items() if not used & set(remaining)]:
        for name in free:
            del remaining[name]
    assert not remaining, f"these modules import each other: {', '.join(sorted(remaining))}"


def test_numbers_and_pages_are_made_without_torch_and_without_the_hub():
    heavy = {"torch", "transformers", "timm", "accelerate", "huggingface_hub", "datasets"}
    wrong = [
        f"{name} imports {', '.join(sorted(used))}"
        for name, path in modules().items()
        if name.split(".")[0] in WITHOUT_TORCH_AND_HUB and (used := {found.split(".")[0] for found in imports(path)} & heavy)
    ]
    assert not wrong, "; ".join(wrong)


def test_every_place_of_the_package_is_in_the_list():
    places = {name.split(".")[0] for name in modules()}
    assert places == set(ORDER), "add a new folder to ORDER in tests/test_layout.py and to docs/architecture.md"


def test_files_and_functions_are_short_enough_to_be_read_at_once():
    long = [f"{name}: {count} lines" for name, path in modules().items() if (count := len(path.read_text().splitlines())) > 450]
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and node.end_lineno
                and node.end_lineno - node.lineno + 1 > 80
            ):
                long.append(f"{name}.{node.name}: {node.end_lineno - node.lineno + 1} lines")
    assert not long, f"split these: {'; '.join(long)}"
