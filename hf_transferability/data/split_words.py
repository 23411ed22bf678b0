"""Words of splits and of parts of a study, in the names of folders, tables, files and columns."""

import re

_WORDS = {
    "train": ("train", "training", "trn", "tr"),
    "validation": ("validation", "validate", "valid", "val", "dev"),
    "test": ("test", "testing", "tst", "ts", "evaluation", "eval", "holdout", "heldout"),
}
_TWO_WORDS = re.compile(r"(hold|held)[^a-z0-9]*(out)", re.IGNORECASE)  # hold_out, Held-out
# Words for parts of a study, of which some authors train on one and others on another: "development" data are for validation
# in machine learning, and for training in medicine.
_COHORTS = ("development", "derivation", "discovery", "internal")
_UNSEEN = ("external", "unseen", "blind", "blinded", "independent", "replication")  # of these, never for training
KIND_OF = {word: kind for kind, words in _WORDS.items() for word in words}
_FILLER = r"(?:images?|imgs?|data|dataset|sets?|split|samples?|folder)*"
_WHOLE = {kind: re.compile(f"{_FILLER}(?:{'|'.join(words)}){_FILLER}[0-9]*") for kind, words in _WORDS.items()}
_COHORT = re.compile(f"{_FILLER}(?:{'|'.join((*_COHORTS, *_UNSEEN))})(?:cohort|{_FILLER})[0-9]*")
_ANY = re.compile("|".join((*KIND_OF, *_COHORTS, *_UNSEEN, "hold", "held")), re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+[^A-Za-z0-9]+")  # begins names such as 01_train
_INNER_SHORT = re.compile(r"(?<=[a-z])T([RS])(?![A-Za-z])")  # of BraTS, which is no test set; imagesTs is one
_NUMBERED_PART = re.compile(r"[a-z0-9]*?(?:images?|imgs?|pictures?|photos?|parts?|batch|chunk|shard|archive)[0-9]+")
_IMAGES = re.compile(r"(?:images?|imgs?|pictures?|photos?|scans?|data|dataset|raw|all|files?)[0-9]*")


def split_kind(name: str) -> str | None:
    """Which split a whole name stands for, in any case: "Train_Data" -> "train", "valset" -> "validation", "bus" -> None."""
    plain = _plain(name)
    return next((kind for kind, pattern in _WHOLE.items() if pattern.fullmatch(plain)), None)


def kinds_within(name: str) -> set[str]:
    """The kinds of split whose word is a part of a name: "brain_train" -> {"train"}."""
    return {KIND_OF[word] for word in words_of(name) if word in KIND_OF}


def is_cohort(name: str) -> bool:
    """Whether a whole name stands for a part of a study that may be a split, but does not tell which: "External_set"."""
    return _COHORT.fullmatch(_plain(name)) is not None


def may_be_unseen(name: str) -> bool:
    """Whether a name has a word for data that are not for training, such as "unseen_labels"."""
    return not set(_UNSEEN).isdisjoint(words_of(name))


def has_cohort_word(name: str) -> bool:
    """Whether a name has a word for a part of a study; see `is_cohort`."""
    return bool(cohort_words(name))


def cohort_words(name: str) -> set[str]:
    """The words for parts of a study in a name."""
    return {*_COHORTS, *_UNSEEN}.intersection(words_of(name))


def may_have_words(name: str) -> bool:
    """Whether a name may have a word of a split or of a part of a study; quick, and sure where it has not."""
    return _ANY.search(name) is not None


def says_nothing(name: str) -> bool:
    """Whether a name is only a word for images, such as "images"."""
    return _IMAGES.fullmatch(_plain(name)) is not None


def is_numbered_part(name: str) -> bool:
    """Whether a name is a word for images or parts with a number, such as "images_001" and "HAM10000_images_part_1"."""
    return _NUMBERED_PART.fullmatch(_plain(name)) is not None


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, also of those that capitals begin: "TestData_1" -> ["test", "data", "1"]."""
    name = _INNER_SHORT.sub(lambda found: found[0].lower(), _TWO_WORDS.sub(r"\1\2", name))
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+", name)
    return [word.lower() for word in words]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", _NUMBER.sub("", name, count=1).lower() if _NUMBER.match(name) else name.lower())
