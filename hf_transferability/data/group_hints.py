"""A note on a column that seems to say which images belong together, where no group column was named."""

import re
from collections.abc import Collection
from typing import Any

import datasets

from hf_transferability.data.groups import check_group_column
from hf_transferability.errors import UsageError
from hf_transferability.escaping.terminal import printable

_WHOM = "patient|subject|participant|person|donor|animal|mouse|study|exam|examination|series|slide|specimen|lesion|case|volume"
_NAMED = re.compile(rf"({_WHOM})(id|ids|uid|instanceuid|no|nr|num|number|code|name|key)?")
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
        if column in used or not _NAMED.fullmatch(re.sub(r"[\W_]", "", column).lower()) or not _may_group(column, feature):
            continue
        values = {value for value in table.select_columns([column]).with_format(None)[column][:] if value is not None}
        if _FEWEST <= len(values) < len(table):
            shown = printable(column)
            held = f"{len(values):,} values for {len(table):,} images"
            return f"The column {shown} holds {held}; `--group-column {shown}` keeps those of one together."
    return None


def _may_group(column: str, feature: Any) -> bool:
    try:
        check_group_column({column: feature}, column, ())
    except UsageError:
        return False
    return True
