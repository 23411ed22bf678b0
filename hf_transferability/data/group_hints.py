"""A note on a column that seems to say which images belong together, where no group column was named."""

import re
from collections.abc import Collection
from typing import Any

import datasets

from hf_transferability.data.groups import check_group_column, group_names
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

_WHOM = "patient|subject|participant|person|donor|animal|mouse|study|series|slide|specimen|lesion|case"
_ALSO_A_FACT = "exam|examination|volume|scan"  # such as its kind or its size, unless an identifier is named
_ID = "id|ids|uid|instanceuid|no|nr|num|number|code|name|key"
_NAMED = re.compile(rf"({_WHOM})({_ID})?|({_ALSO_A_FACT})({_ID})")
_FEWEST = 5  # groups; columns of fewer values more likely say something of the images, as "case" or "control" does


def group_note(table: "datasets.Dataset | datasets.IterableDataset", used: Collection[str]) -> str | None:
    """One sentence on the first column whose name and values are as those of patients, studies or slides; None without one.

    Only counts are told, as the values may name patients. A stream is not read for it.

    Args:
        table: the split.
        used: columns that are used already: images, labels.
    """
    if not isinstance(table, datasets.Dataset):
        return None
    for column, feature in table.features.items():
        if column in used or not _NAMED.fullmatch(re.sub(r"[\W_]", "", column).lower()):
            continue
        values = _groups(table, column, feature)
        if _FEWEST <= len(values) < len(table):
            shown = printable(column)
            held = f"{len(values):,} values for {len(table):,} images"
            return f"The column {shown} holds {held}; `--group-column {shown}` keeps those of one together."
    return None


def _groups(table: datasets.Dataset, column: str, feature: Any) -> set[str]:
    """The groups that the column names; none where it cannot be taken as groups, as some of its values are missing."""
    try:
        check_group_column({column: feature}, column, ())
        return set(group_names(column, table.select_columns([column]).with_format(None)[column][:], feature))
    except UsageError:
        return set()
