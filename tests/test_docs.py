"""The guides: examples run, commands parse, links lead somewhere, and nothing that exists is left out."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import test_layout
import yaml

import hf_transferability
from hf_transferability import cli
from hf_transferability.benchmark.leaderboard import agreement_range
from hf_transferability.catalogue.filters import in_short
from hf_transferability.metrics import FLAGS
from hf_transferability.space import limits

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(hf_transferability.__file__).parent
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*GUIDES, ROOT / "CHANGELOG.md"]
NOT_RUN = "<!-- not run: "  # with the reason; before a block of Python that needs what a test does not have
# Options of other programs that the guides name.
FOREIGN = {
    "--multi_gpu", "--num_processes", "--num_machines", "--machine_rank", "--main_process_ip", "--cpu", "--nproc_per_node",
    "--dist", "--no-loadscope-reorder", "--type",
}  # fmt: skip

ELSEWHERE = ("the following arguments are required",)  # a row of docs/troubleshooting.md on what argparse says


def ids(path: Path) -> str:
    return path.name


def blocks(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Language, text and whether it is to be run, of every fenced block."""
    for match in re.finditer(r"^([^\n]*)\n```(\w+)\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        yield match[2], match[3], not match[1].startswith(NOT_RUN)


def commands(text: str) -> Iterator[list[str]]:
    """The words after `hf-transferability` of every command in a block of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word != "&&":
                words.append(word)
                continue
            if words and Path(words[0]).name == "hf-transferability":
                yield words[1:]
            elif "hf_transferability" in words:  # accelerate launch ... -m hf_transferability
                yield words[words.index("hf_transferability") + 1 :]
            words = []


def is_run(words: list[str]) -> bool:
    """Whether a command can run here: it needs no Hub and takes seconds."""
    return words[0] in ("score", "metrics") or (words[:2] == ["rank", "photos"] and "all" not in words)


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Every option of a parser and of its commands."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= options(command)
    return found


def anchors(path: Path) -> set[str]:
    """The fragments of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"https?:", target):
            continue
        file, _, fragment = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), f"{path.name} links to {target}, which is not there"
        assert not fragment or fragment in anchors(place), f"{path.name} links to {target}; {place.name} has no such heading"


def test_every_guide_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", (ROOT / "README.md").read_text("utf-8")))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 160


@pytest.mark.parametrize("path", GUIDES, ids=ids)
def test_commands_are_understood(path, capsys):
    for language, text, _ in blocks(path):
        for words in commands(text) if language == "sh" else ():
            try:
                cli._parser().parse_args(words)
            except SystemExit:
                pytest.fail(f"{path.name} has a command that is refused: {' '.join(words)}\n{capsys.readouterr().err}")


@pytest.mark.parametrize("path", GUIDES, ids=ids)
def test_options_that_are_named_exist(path):
    named = {
        word for code in re.findall(r"`([^`\n]+)`", path.read_text("utf-8")) for word in re.findall(r"--[a-z][\w-]*", code)
    }
    assert named <= options(cli._parser()) | FOREIGN


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, make_target, make_checkpoint):
    """A folder with what the examples use: images, two checkpoints, and the metric registered for evaluate."""
    import shutil

    import evaluate

    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(make_target(), folder / "photos")
    for seed, name in enumerate(("one", "two")):
        shutil.copytree(make_checkpoint(seed=seed), folder / "checkpoints" / name)
    hf_transferability.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
        yield folder


def examples(path: Path) -> list[tuple[str, str]]:
    """Language and text of the blocks that can run here. Those of CONTRIBUTING.md run in tests/metrics/test_contributing.py."""
    if path.name == "CONTRIBUTING.md":
        return []
    return [
        (language, text)
        for language, text, wanted in blocks(path)
        if (language == "python" and wanted) or (language == "sh" and any(map(is_run, commands(text))))
    ]


@pytest.mark.filterwarnings("ignore::hf_transferability.ScoreWarning")
@pytest.mark.parametrize("path", list(filter(examples, GUIDES)), ids=ids)
def test_examples_run(path, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    scope: dict[str, object] = {"__name__": "example"}
    for language, text in examples(path):
        if language == "python":
            exec(compile(text, path.name, "exec"), scope)
        for words in commands(text) if language == "sh" else ():
            if is_run(words):
                assert cli.main(words) == 0, capsys.readouterr().err


def test_every_python_example_is_python():
    for path in GUIDES:
        for language, text, _ in blocks(path):
            if language == "python":
                ast.parse(text, path.name)


def test_the_map_of_the_package_is_complete_and_in_order():
    listing = next(text for language, text, _ in blocks(ROOT / "docs/architecture.md") if language == "text")
    assert [line.split()[0].rstrip("/") for line in listing.splitlines()] == test_layout.ORDER


def test_places_that_the_architecture_names_exist():
    text = (ROOT / "docs/architecture.md").read_text("utf-8").partition("## Where is")[2].partition("\n## ")[0]
    places = re.findall(r"`([\w/]+\.py)`", text)
    assert len(places) > 5
    assert not [place for place in places if not (PACKAGE / place).is_file()]


def test_every_flag_is_explained():
    explained = re.findall(r"^\| `([\w<=]+)` \|", (ROOT / "docs/reading-a-ranking.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(FLAGS), "docs/reading-a-ranking.md must have one row for each flag of metrics/_flags.py"


def constant_text(node: ast.expr) -> str:
    """The words of a message, with "..." for what varies."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
    if isinstance(node, ast.BinOp):
        return constant_text(node.left) + constant_text(node.right)
    return "..."


@lru_cache
def texts() -> list[tuple[Path, ast.Module]]:
    """Every file of the package, by its place in it."""
    return [(path.relative_to(PACKAGE), ast.parse(path.read_text("utf-8"))) for path in PACKAGE.rglob("*.py")]


def messages() -> dict[str, str]:
    """Message -> where it is, of every error of this package's own classes; those that only pass a text on are left out."""
    errors = {
        node.name for node in ast.parse((PACKAGE / "errors.py").read_text("utf-8")).body if isinstance(node, ast.ClassDef)
    }
    found = {}
    for place, tree in texts():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in errors and node.args:
                text = constant_text(node.args[0])
            elif place == Path("hub/messages.py") and isinstance(node, ast.Return) and node.value is not None:
                text = constant_text(node.value)
            else:
                continue
            if len(re.findall(r"[a-z]{2,}", text)) > 1:
                found[text] = f"{place}:{node.lineno}"
    return found


def families() -> list[str]:
    """The first cell of every row of the tables of messages."""
    text = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    cells = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return [cell for cell in cells if cell not in ("message", "reason")]


def is_of(message: str, family: str) -> bool:
    """Whether the fixed parts of the family are in the message, in their order."""
    start = 0
    for part in filter(None, map(str.strip, family.split("..."))):
        place = message.find(part, start)
        if place < 0:
            return False
        start = place + len(part)
    return True


def test_every_error_message_is_in_the_guide():
    known = families()
    missing = [f"{place}: {text}" for text, place in messages().items() if not any(is_of(text, family) for family in known)]
    assert not missing, "docs/troubleshooting.md needs a row for:\n" + "\n".join(sorted(missing))


def test_the_guide_has_no_message_that_is_gone():
    present = {
        constant_text(node) for _, tree in texts() for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)
    }
    gone = [family for family in families() if family not in ELSEWHERE and not any(is_of(text, family) for text in present)]
    assert not gone, f"docs/troubleshooting.md has rows for messages that no longer exist: {gone}"


def test_hooks_before_a_commit():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "codespell"}


def test_the_limits_of_the_page_are_those_of_the_guide():
    text = (ROOT / "docs/space.md").read_text("utf-8")
    for limit in (
        f"{limits.CHECKPOINTS}, of {in_short(limits.PARAMETERS)} parameters each",
        f"{limits.CHECKPOINT_BYTES / 1e9:.0f} GB together",
        f"{limits.IMAGES}, from a dataset of {limits.DATASET_BYTES / 1e9:g} GB",
        f"{limits.FILES}, of {limits.FILE_BYTES // 2**20} MiB each",
        f"{limits.SECONDS / 60:.0f} minutes, {limits.MEMORY / 2**30:.0f} GiB",
    ):
        assert limit in text


@pytest.mark.parametrize("path", ["README.md", "space/README.md", "metrics/transferability/README.md"])
def test_cards_say_how_far_the_order_agrees_with_fine_tuning_where_to_report_problems_and_what_to_cite(path):
    text = " ".join((ROOT / path).read_text("utf-8").split())
    for metric in ("consensus", "transferability"):
        assert "{:.2f} to {:.2f}".format(*agreement_range(metric)[1:]) in text
    assert agreement_range("consensus")[0] == 7 and "seven" in text
    assert "Open a discussion" in text or "open a discussion" in text
    assert "2412.20172" in text and "not for clinical decisions" in text


def test_ci_finds_the_test_command_in_the_readme():
    text = (ROOT / "README.md").read_text("utf-8")
    block = text.partition("<!-- test command -->\n")[2].partition("<!-- end -->")[0]
    assert re.fullmatch(r"```sh\n.* -m pytest .*\n```\n", block)


CARDS = [ROOT / "space" / "README.md", ROOT / "metrics" / "transferability" / "README.md"]


@pytest.mark.parametrize("path", [*GUIDES, *CARDS, CARDS[1].with_name("app.py")], ids=ids)
def test_nobody_is_told_to_install_the_package_from_an_index(path):
    """It is on none, and somebody else may take the name. With an extra, pip finds the package that is installed already."""
    found = re.findall(r"pip install [^`\n&]*", path.read_text("utf-8"))
    assert [text for text in found if re.search(r"hf-transferability(?!\[)", text)] == []
    if path.name == "space.md":
        assert "hf-transferability[space]" not in path.read_text("utf-8")
