"""The pictures of a ranking one by one, for pages: each with a text for those who cannot see it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_transferability.errors import UsageError
from hf_transferability.reporting.plots.rank_map import metric_ranks
from hf_transferability.reporting.plots.ranking import components, cost, costs_differ, scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure, what it shows in words, and whether it needs the full width of a page."""

    figure: "Figure"
    text: str
    whole: bool = False


def described(document: Mapping[str, Any]) -> Iterator[Picture]:
    """The pictures of a ranking that say something.

    Args:
        document: what `Ranking.to_dict()` gives.

    Raises:
        UsageError: matplotlib is not installed, or there are no rows.
    """
    yield Picture(
        scores(dict(document)), "Score of every candidate with its 90 % interval; the table above has the numbers.", whole=True
    )
    for draw, text in (
        (components, "The two parts of the score of every candidate, one against the other."),
        (cost, "Score against number of parameters of every candidate."),
        (metric_ranks, "Rank of every candidate by each metric."),
    ):
        if draw is cost and not costs_differ(document["rows"]):
            continue
        try:
            figure = draw(dict(document))
        except UsageError:  # nothing to draw, for example without gradient norms
            continue
        yield Picture(figure, text, whole=draw is metric_ranks)
