"""Which of several rows is the newest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def ages(frame: "pd.DataFrame") -> list[tuple[str, int]]:
    """What tells the newer of two rows: the date, and of one date the version of the metric, for features that were kept."""
    columns = [frame[column].tolist() if column in frame else [None] * len(frame) for column in ("date", "metric_version")]
    return [
        (date if isinstance(date, str) else "", version if isinstance(version, int) else 0)
        for date, version in zip(*columns, strict=True)
    ]


def newest(frame: "pd.DataFrame", by: Sequence[str]) -> "pd.DataFrame":
    """Of the rows that agree in some columns the newest one, in the frame's order; of one age the last."""
    names = list(by)
    if not frame.duplicated(names).any():
        return frame
    row_ages = ages(frame)
    order = sorted(range(len(frame)), key=row_ages.__getitem__)
    passed = frame.iloc[order].duplicated(names, keep="last").tolist()
    return frame.iloc[sorted(place for place, left_out in zip(order, passed, strict=True) if not left_out)]
