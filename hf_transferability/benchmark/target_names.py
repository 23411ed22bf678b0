"""Whether two names mean the same target dataset: a Hub id, a folder, a configuration or what a publication calls it."""

import re
from collections.abc import Iterable

# A new word begins after anything but letters and digits, between letters and digits, and at a capital: PneumoniaMNIST_28.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# As a part of a longer name these say nothing: "used cars" is no Stanford Cars.
_ORDINARY = frozenset({"aircraft", "cars", "flowers", "food", "pets"})


def same_target(given: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of the given names is, or contains as whole words, one of the others, whatever the case and punctuation.

    "cifar-10" is CIFAR10 and not CIFAR100; "owner/pneumonia_mnist_224" is PneumoniaMNIST. Of an id "owner/name" the name
    counts, unless the other name is an id, too: then both parts must agree.

    Args:
        given: what a user calls the target: Hub id, folder, configuration.
        names: what it may be called elsewhere.
    """
    wanted = list(names)
    return any(_matches(text, name) for text in given for name in wanted)


def _matches(given: str, name: str) -> bool:
    if "/" in name:
        return _joined(given.strip("/")) == _joined(name)
    key = _joined(name)
    words = _words(given.rstrip("/").rpartition("/")[2])
    if not key or key in _ORDINARY:
        return bool(key) and key == "".join(words)
    return any("".join(words[start:end]) == key for start in range(len(words)) for end in range(start + 1, len(words) + 1))


def _joined(text: str) -> str:
    return "".join(_words(text))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
