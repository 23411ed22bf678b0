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
    """A picture for pages.

    Attributes:
        figure: the picture.
        text: what it shows, for those who cannot see it.
        whole: whether it needs the full width of a page.
    """

    figure: "Figure"
    text: str
    whole: bool = False


def described(document: Mapping[str, Any], narrow: bool = False) -> Iterator[Picture]:
    """The pictures of a ranking that say something.

    Args:
        document: what `Ranking.to_dict()` gives.
        narrow: for a phone.

    Raises:
        UsageError: matplotlib is not installed, or there are no rows.
    """
    given = dict(document)
    for draw, text in (
        (scores, "Score of every candidate with its 90% interval; the table above has the numbers."),
        (components, "The two parts of the score of every candidate, one against the other."),
        (cost, "Score against number of parameters of every candidate."),
        (metric_ranks, "Rank of every candidate by each metric."),
    ):
        if draw is cost and not costs_differ(document["rows"]):
            continue
        try:
            figure = draw(given, narrow=narrow)
        except UsageError:  # nothing to draw, for example without gradient norms
            if draw is scores:
                raise
            continue
        yield Picture(figure, text, whole=draw in (scores, metric_ranks))
