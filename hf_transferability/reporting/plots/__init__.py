"""Pictures of a ranking and of a benchmark, as matplotlib figures.

Made with `matplotlib.figure.Figure`, never with pyplot, so that threads may draw and nothing stays open. A ranking is given as
the document that `Ranking.to_dict()` makes and `Ranking.save` writes, so that a saved one can be drawn without loading torch.
Colours are Okabe and Ito's and cividis, which people with any kind of colour vision can tell apart.
"""

from hf_transferability.reporting.plots.benchmark import agreement_chart, ground_truth_heatmap, score_against_auc
from hf_transferability.reporting.plots.dark import darkened
from hf_transferability.reporting.plots.described import described
from hf_transferability.reporting.plots.leaderboard import leaderboard
from hf_transferability.reporting.plots.rank_map import metric_ranks
from hf_transferability.reporting.plots.ranking import components, cost, ranking, scores
from hf_transferability.reporting.plots.style import check_picture, save, to_svg

__all__ = [
    "agreement_chart",
    "check_picture",
    "components",
    "cost",
    "darkened",
    "described",
    "ground_truth_heatmap",
    "leaderboard",
    "metric_ranks",
    "ranking",
    "save",
    "score_against_auc",
    "scores",
    "to_svg",
]
