"""Every note, flag and piece of advice is one sentence of at most 25 words.

The texts are read from the source code, so that a new note needs no test of its own; a placeholder counts as one word.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hf_transferability
from hf_transferability.metrics import FLAGS
from hf_transferability.results import COLUMNS

PACKAGE = Path(hf_transferability.__file__).parent
MOST_WORDS = 25
SAMPLE = "X"
HOLDERS = re.compile(r"note|remark|reading|advice", re.IGNORECASE)  # names of variables that hold notes, and of functions
SENTENCE_END = re.compile(r"[.!?](?=\s+\S)")


def name_of(node: ast.AST) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def filled(node: ast.AST) -> str | None:
    """The text of a string expression with its placeholders filled; None for another expression."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(filled(part) or SAMPLE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = filled(node.left), filled(node.right)
        return None if sides == (None, None) else "".join(side or SAMPLE for side in sides)
    return None


def texts_in(node: ast.AST) -> Iterator[str]:
    """Texts of a value: of both branches of a condition, of every element of a list."""
    if isinstance(node, ast.IfExp):
        children = [node.body, node.orelse]
    elif isinstance(node, ast.List | ast.Tuple):
        children = node.elts
    elif isinstance(node, ast.Dict):
        children = node.values
    elif isinstance(node, ast.ListComp | ast.GeneratorExp):
        children = [node.elt]
    elif isinstance(node, ast.Starred):
        children = [node.value]
    else:
        text = filled(node)
        yield from [text] if text else []
        return
    for child in children:
        yield from texts_in(child)


def values_of_notes(node: ast.AST, of_notes: bool) -> list[ast.AST]:
    """The expressions that a statement or call makes a note of; `of_notes`: the whole module makes notes."""
    if isinstance(node, ast.Call):
        adds = isinstance(node.func, ast.Attribute) and node.func.attr in ("append", "extend", "insert")
        if adds and re.search("note|remark|lines$", name_of(node.func.value)):
            return list(node.args)
        return list(node.args) if name_of(node.func) in ("note", "used", "print_notes") else []
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [node.value] if any(HOLDERS.search(name_of(target)) for target in targets) else []
    if isinstance(node, ast.keyword) and node.arg and HOLDERS.search(node.arg):
        return [node.value]
    if isinstance(node, ast.FunctionDef) and (of_notes or HOLDERS.search(node.name) or node.name.endswith("_line")):
        inside = ast.walk(node)
        return [part.value for part in inside if isinstance(part, ast.Return | ast.Yield) and part.value]
    return []


def notes_in(source: str, of_notes: bool = False) -> list[str]:
    """The notes that a module's source makes, without single words and labels."""
    values = [value for node in ast.walk(ast.parse(source)) for value in values_of_notes(node, of_notes)]
    return [text for value in values for text in texts_in(value) if len(text.split()) > 4]


def n_sentences(text: str) -> int:
    return len(SENTENCE_END.findall(text)) + 1


NOTES = sorted(
    {
        (str(path.relative_to(PACKAGE)), text)
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in notes_in(path.read_text(encoding="utf-8"), of_notes="notes" in path.stem)
    }
)


def test_notes_are_one_short_sentence():
    bad = [f"{file}: {text}" for file, text in NOTES if len(text.split()) > MOST_WORDS or n_sentences(text) > 1]
    assert not bad, "\n".join(bad)


def test_flags_are_one_short_sentence():
    bad = [flag for flag, text in FLAGS.items() if len(f"{flag}: {text}".split()) > MOST_WORDS or n_sentences(text) > 1]
    assert not bad


def test_meanings_of_columns_are_one_sentence():
    assert not [name for name, column in COLUMNS.items() if n_sentences(column.meaning) > 1]


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("ranking/notes.py", "compare what other metrics put first"),
        ("ranking/notes.py", "there is no ranking"),
        ("ranking/arrays.py", "networks have one architecture"),
        ("ranking/scenario.py", "the paper's order is reversed"),
        ("benchmark/advice.py", "these images cannot tell"),
        ("benchmark/advice.py", "chance that the best is among"),
        ("benchmark/comparison_notes.py", "uninformative"),
        ("benchmark/compare.py", "share one draw of training images"),
        ("data/local_images.py", "Labels come from the folders"),
        ("reporting/columns.py", "fine-tune each of them"),
        ("space/lookup.py", "Noise ceiling"),
        ("training/grids.py", "left to other processes"),
    ],
)
def test_notes_are_collected_from_every_kind_of_place(file, part):
    assert any(part in text for name, text in NOTES if name == file)


@pytest.mark.parametrize(
    "source",
    [
        'notes.append(f"{a} is so. Do b and c.")',
        'notes += ["first this is so" if a else "It is so, then. Do something."]',
        'def _line(): return "One is here. Two is there."',
        f'note("{"word " * 26}")',
    ],
)
def test_what_is_too_long_is_recognised(source):
    assert any(len(text.split()) > MOST_WORDS or n_sentences(text) > 1 for text in notes_in(source))
