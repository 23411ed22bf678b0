"""A ranking: its rows in order, where they come from, and the forms in which it is shown and saved."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transferability import files, provenance
from hf_transferability.ranking.parts import Part
from hf_transferability.results import Row

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass
class Ranking:
    """A ranked pool.

    Attributes:
        rows: one dict per candidate, best first; failed ones last, with their reason in "error".
        dataset: provenance of the target sample; a local folder goes by its name, as its path is private.
        scenario: how the components were combined.
        metric: the metric whose score the rows are sorted by.
        notes: remarks and cautions about the whole ranking.
        metric_versions: version of every metric that was computed.
        versions: the packages that made it.
        advice: what to do with the order; see `benchmark.advice.advise`.
        label_check: whether the labels fit the first candidate's features better than shuffled ones; see
            `ranking.label_check.checked_labels`.
        known: the studies behind the rows' known_elsewhere, and those left out, as they hold the target.
        part: the scored candidates that it was formed from, in the main process of `rank(part=True)`; not saved.
    """

    rows: list[Row]
    dataset: dict[str, Any]
    scenario: str
    metric: str
    notes: list[str] = field(default_factory=list)
    metric_versions: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=provenance.package_versions)
    advice: dict[str, Any] | None = None
    known: dict[str, Any] | None = None
    label_check: dict[str, Any] | None = None
    part: Part | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """The table, as `rank` prints it, and what to do."""
        from hf_transferability.reporting.terminal import table_text

        return table_text(self.to_dict())

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        from hf_transferability.reporting.html import fragment

        return fragment(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "dataset": self.dataset,
            "scenario": self.scenario,
            "metric": self.metric,
            "rows": self.rows,
            "notes": self.notes,
            "metric_versions": self.metric_versions,
            "advice": self.advice,
            "label_check": self.label_check,
            "known": self.known,
            "versions": self.versions,
        }

    def to_pandas(self) -> "pandas.DataFrame":
        """The rows as a data frame, in rank order."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def save(self, path: str | Path) -> None:
        """Write .json (everything), .csv or .parquet (the rows).

        Raises:
            UsageError: another ending, or a folder that does not exist.
        """
        files.save(self.to_dict(), path)

    def plot(self) -> "Figure":
        """Scores with intervals, the components, score against parameters, and ranks by each metric, as one matplotlib figure.

        `plots.save(figure, path)` writes it; `plots.scores`, `components`, `cost` and `metric_ranks` draw them one by one.

        Raises:
            UsageError: matplotlib is not installed.
        """
        from hf_transferability.reporting import plots

        return plots.ranking(self.to_dict())
