"""Merge new rows into a table by their keys, without losing old rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.newest import ages

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Merged:
    """A table with new rows.

    Attributes:
        frame: all rows, sorted by key.
        fresh: new rows that were added or that replaced an old row.
        added: number of new rows with a new key.
        replaced: number of new rows that replaced an older row.
        unchanged: number of new rows that the table had already.
        older: number of new rows that were left out, because the old row is newer or as new and has other values.
        repeated: number of old rows that were left out, because a newer old row has the same key.
    """

    frame: "pd.DataFrame"
    fresh: "pd.DataFrame"
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    older: int = 0
    repeated: int = 0

    @property
    def differs(self) -> bool:
        """Whether the merged table differs from the old one."""
        return bool(self.added or self.replaced or self.repeated)


def merge(old: "pd.DataFrame | None", new: "pd.DataFrame", name: str) -> Merged:
    """Merge rows into a table: a row with a new key is added, a row with a known key replaces the old one if it is newer.

    The key includes what a row was computed from: another checkpoint, sample or pool makes another row. Rows that differ only
    in their date are equal. Neither frame is changed.

    Args:
        old: a checked frame, in which keys may be repeated; None if there is no table yet.
        new: a checked frame with provenance.
        name: name of the table.
    """
    import pandas as pd

    key = tables.TABLES[name].names(new)
    if old is None:
        return Merged(new.sort_values(key, ignore_index=True), new, added=len(new))
    columns = list(dict.fromkeys([*new, *old]))  # other versions of the package, or users, may add columns
    old, new = _with_equal_dtypes(old.reindex(columns=columns), new.reindex(columns=columns))
    old = _oldest_first(old)
    single = old.drop_duplicates(key, keep="last")
    pairs = new[key].merge(single[key].assign(row=single.index), on=key, how="left")["row"]
    known = pairs.notna().to_numpy()
    old_pairs, new_pairs = single.loc[pairs[known]], new[known]
    equal = _equal_rows(old_pairs, new_pairs, [column for column in columns if column != "date"])
    newer = [new_age > old_age for new_age, old_age in zip(ages(new_pairs), ages(old_pairs), strict=True)]
    replaces = [is_newer and not is_equal for is_equal, is_newer in zip(equal, newer, strict=True)]
    fresh = pd.concat([new[~known], new_pairs[replaces]])
    remaining = single.drop(index=old_pairs.index[replaces])
    frames = [frame for frame in (remaining, fresh) if len(frame)] or [fresh]
    frame = pd.concat(frames)
    return Merged(
        frame.sort_values(key, ignore_index=True),
        fresh,
        added=int((~known).sum()),
        replaced=sum(replaces),
        unchanged=sum(equal),
        older=len(equal) - sum(equal) - sum(replaces),
        repeated=len(old) - len(single),
    )


def _oldest_first(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The rows from the oldest to the newest."""
    age_of_row = ages(rows)
    return rows.iloc[sorted(range(len(rows)), key=age_of_row.__getitem__)].reset_index(drop=True)


def _with_equal_dtypes(old: "pd.DataFrame", new: "pd.DataFrame") -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Both frames, where a column that is empty in one gets its dtype from the other: their files must have one schema."""
    empty = [column for column in new if old[column].isna().all()]
    empty_in_new = [column for column in new if new[column].isna().all() and column not in empty]
    old_dtypes = {column: _nullable(new[column].dtype) for column in empty}
    new_dtypes = {column: _nullable(old[column].dtype) for column in empty_in_new}
    return old.astype(old_dtypes), new.astype(new_dtypes)


def _nullable(dtype: Any) -> Any:
    """The nullable form of a dtype of integers or booleans; other dtypes as they are."""
    if dtype.kind in "iu":
        return dtype.name.replace("uint", "UInt").replace("int", "Int")
    return "boolean" if dtype.kind == "b" else dtype


def _equal_rows(a: "pd.DataFrame", b: "pd.DataFrame", columns: Sequence[str]) -> list[bool]:
    """Whether each row of one frame equals the row at the same place in the other; missing values are equal."""
    left, right = (frame[[*columns]].reset_index(drop=True) for frame in (a, b))
    return ((left == right).fillna(False) | (left.isna() & right.isna())).all(axis=1).tolist()
