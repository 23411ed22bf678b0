"""Rows that are added to a table without losing any that it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.newest import ages

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Merged:
    """A table with new rows in it.

    Attributes:
        frame: all rows, sorted by key.
        fresh: those that were added or replaced another.
        added, replaced, unchanged: how many of the new rows are now there, took the place of an older one, were there already.
        older: how many were left out, because the row of that key is newer or as new, with other values.
        repeated: how many rows of the old table had a newer one of the same key beside them.
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
        """Whether the merged table is another than the old one."""
        return bool(self.added or self.replaced or self.repeated)


def merge(old: "pd.DataFrame | None", new: "pd.DataFrame", name: str) -> Merged:
    """Put rows into a table: a row of a new key is added, one of a known key replaces the old one only if it is newer.

    The key is that of the table with what the row was computed from: another checkpoint, sample or pool makes another row.
    Rows that differ in nothing but their date are the same. Neither frame is changed.

    Args:
        old: a checked frame, in which a key may occur more than once; None for none.
        new: a checked frame with provenance.
        name: of the table.
    """
    import pandas as pd

    key = tables.TABLES[name].names(new)
    if old is None:
        return Merged(new.sort_values(key, ignore_index=True), new, added=len(new))
    columns = list(dict.fromkeys([*new, *old]))  # a newer version of the package, or its user, may have added some
    old, new = _of_one_kind(old.reindex(columns=columns), new.reindex(columns=columns))
    old = _aged(old)
    single = old.drop_duplicates(key, keep="last")
    pairs = new[key].merge(single[key].assign(row=single.index), on=key, how="left")["row"]
    known = pairs.notna().to_numpy()
    theirs, ours = single.loc[pairs[known]], new[known]
    same = _same(theirs, ours, [column for column in columns if column != "date"])
    later = [mine > other for mine, other in zip(ages(ours), ages(theirs), strict=True)]
    replaces = [not equal and newer for equal, newer in zip(same, later, strict=True)]
    fresh = pd.concat([new[~known], ours[replaces]])
    kept = single.drop(index=theirs.index[replaces])
    frame = pd.concat([kept, fresh]) if len(kept) and len(fresh) else kept if len(kept) else fresh
    return Merged(
        frame.sort_values(key, ignore_index=True),
        fresh,
        added=int((~known).sum()),
        replaced=sum(replaces),
        unchanged=sum(same),
        older=len(same) - sum(same) - sum(replaces),
        repeated=len(old) - len(single),
    )


def _aged(old: "pd.DataFrame") -> "pd.DataFrame":
    """The old rows from the oldest to the newest."""
    found = ages(old)
    return old.iloc[sorted(range(len(old)), key=found.__getitem__)].reset_index(drop=True)


def _of_one_kind(old: "pd.DataFrame", new: "pd.DataFrame") -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Both frames, a column that is empty in one with the kind that it has in the other: their files must have one schema."""
    empty = [column for column in new if old[column].isna().all()]
    theirs = {column: _that_may_be_empty(new[column].dtype) for column in empty}
    ours = {column: _that_may_be_empty(old[column].dtype) for column in new if new[column].isna().all() and column not in empty}
    return old.astype(theirs), new.astype(ours)


def _that_may_be_empty(dtype: Any) -> Any:
    """The dtype, or its nullable form where it is one of whole numbers or truth values."""
    if dtype.kind in "iu":
        return dtype.name.replace("uint", "UInt").replace("int", "Int")
    return "boolean" if dtype.kind == "b" else dtype


def _same(a: "pd.DataFrame", b: "pd.DataFrame", columns: Sequence[str]) -> list[bool]:
    """Whether each row of one frame equals the row at the same place of the other; empty equals empty."""
    left, right = (frame[[*columns]].reset_index(drop=True) for frame in (a, b))
    return ((left == right).fillna(False) | (left.isna() & right.isna())).all(axis=1).tolist()
