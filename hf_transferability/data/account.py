"""The account of a dataset: what was found, what is used by split and class, and what is left out and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hf_transferability.escaping.terminal import one_line

_CLASSES_IN_LINE = 8


@dataclass(frozen=True)
class Account:
    """What a dataset holds, counted before anything is drawn.

    Attributes:
        rows: split -> number of rows (images); -1 where a stream does not say.
        split: the split (or split expression) that is used.
        classes: class -> number of rows in that split; empty for several labels an image, for numbers, and for a stream.
        found: image files in the folder or repository; None for tables, whose rows are the images.
        class_level: level of the folders that name the classes; None where a column does.
        left_out: reason -> number of files or rows that are in no split.
        notes: what else the user should know, one sentence each.
        examples: reason or note -> names of files or folders; shown to who runs this, and never kept.
    """

    rows: dict[str, int]
    split: str = ""
    classes: dict[str, int] = field(default_factory=dict)
    found: int | None = None
    class_level: int | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    examples: dict[str, str] = field(default_factory=dict, repr=False)

    def line(self, *, examples: bool = False) -> str:
        """The account as one line of text.

        Args:
            examples: with names of files, which may name patients.
        """
        splits = ", ".join(f"{name} {n if n >= 0 else 'of unknown size'}" for name, n in self.rows.items())
        parts = [f"splits: {splits}" if len(self.rows) != 1 else f"split {splits}"]
        if self.found is not None:
            parts[0] += f" of {self.found} image files"
        if self.split and len(self.rows) > 1:
            parts.append(f"used: {self.split}")
        if self.classes:
            counted = list(self.classes.items())[:_CLASSES_IN_LINE]
            shown = [f"{one_line(name)}: {n}{' images' * (i == 0)}" for i, (name, n) in enumerate(counted)]
            more = len(self.classes) - len(shown)
            level = f" (folder level {self.class_level})" if self.class_level else ""
            parts.append(f"{len(self.classes)} classes{level}: {', '.join(shown)}{f' and {more} more' if more else ''}")
        shown_names = self.examples if examples else {}
        left = ", ".join(
            f"{n} {reason}{f', such as {shown_names[reason]}' if reason in shown_names else ''}"
            for reason, n in self.left_out.items()
        )
        parts.append(f"left out: {left or 'nothing'}")
        notes = (f"{note.rstrip('.')}, such as {shown_names[note]}." if note in shown_names else note for note in self.notes)
        return " ".join(["; ".join(parts) + ".", *notes])

    def to_dict(self) -> dict[str, Any]:
        """The account and its line, ready for JSON, without names of files."""
        content = {name: value for name, value in asdict(self).items() if name != "examples"}
        return {**content, "notes": list(self.notes), "line": self.line()}

    def used(self, split: str, classes: Mapping[str, int], *notes: str) -> "Account":
        """This account with the split that is used, its classes, and further notes."""
        return replace(self, split=split, classes=dict(classes), notes=(*self.notes, *notes))
