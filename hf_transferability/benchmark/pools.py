"""Fine-tuned performance and scores of one target's candidates, side by side: what every comparison starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_transferability.benchmark import tables
from hf_transferability.benchmark.composites import PAPER_PARTS, with_composites
from hf_transferability.benchmark.newest import newest
from hf_transferability.errors import UsageError, unknown_name
from hf_transferability.metrics import all_metrics, get_metric

if TYPE_CHECKING:
    import pandas as pd

# The metrics whose published variant the paper reverses where architectures differ: lower counts as better there.
# LogME and SFDA are not, and the transferability score is made for the scenario.
TURNED_ROUND = frozenset({"leep", "nleep", "parc", "ncti", *PAPER_PARTS})
PAPER = "arXiv 2412.20172"  # in its citation
PAIR = ["benchmark", "scenario", "source", "target"]
ORIENTATIONS = ("published", "natural")


@dataclass(frozen=True)
class Pool:
    """The candidates of one target: every source with fine-tuned performance, without the target's own.

    Attributes:
        scenario: what differs between them.
        target: the target dataset.
        performance: fine-tuned performance by source.
        scores: one column per (metric, variant), NaN where a source has no score.
        measure: what the performance is; one of tables.MEASURES.
        paper_forms: whether published variants are those of Juodelyte et al., and not of another study that the scores cite.
    """

    scenario: str
    target: str
    performance: "pd.Series"
    scores: "pd.DataFrame"
    measure: str = "auc"
    paper_forms: bool = True

    def scored(self, metric: str, variant: str) -> tuple["pd.Series", "pd.Series"]:
        """Scores and performance of the sources that have both."""
        values = self.scores[metric, variant].dropna()
        return values, self.performance[values.index]

    def orientation(self, metric: str, variant: str, convention: str = "published") -> int:
        """1, or -1 where lower scores count as better; see the function `orientation`."""
        sign = orientation(metric, variant, self.scenario, convention)
        return sign if self.paper_forms else 1


def pools(ground_truth: "pd.DataFrame", scores: "pd.DataFrame", sources: "pd.DataFrame | None" = None) -> list[Pool]:
    """One pool per scenario and target that both tables have, in the order of the ground truth.

    Scores that can be formed over the pool from others are formed where the table lacks them; see `with_composites`. Of several
    rows of one score or one fine-tuned performance the newest counts; see `latest`.

    Args:
        ground_truth: a table of that name with one selection, and one measure for each pair.
        scores: a table of that name, of any one benchmark; of several, those of the ground truth's are taken.
        sources: a table of that name, for the size of the networks.

    Raises:
        UsageError: scores of several other benchmarks.
    """
    if scores.benchmark.nunique() > 1:
        of_benchmark = scores[scores.benchmark.isin(ground_truth.benchmark)]
        if of_benchmark.benchmark.nunique() != 1:
            names = ", ".join(sorted(scores.benchmark.unique()))
            raise UsageError(f"the scores must be of one benchmark; got {names}. Keep one.")
        scores = of_benchmark
    scores, _ = latest(scores)
    ground_truth = newest(ground_truth, PAIR)
    facts = None if sources is None else sources.drop_duplicates("source").set_index("source")
    scored_pools = []
    groups = dict(iter(scores.groupby(["scenario", "target"], sort=False)))
    for key, truth in ground_truth.groupby(["scenario", "target"], sort=False):
        scenario, target = map(str, key)
        if key in groups:
            performance = truth[truth.source != target].set_index("source").performance
            wide = groups[key].pivot(index="source", columns=["metric", "variant"], values="score")
            scored = with_composites(wide, performance.index, scenario, facts)
            measure = str(truth.measure.iloc[0])
            scored_pools.append(Pool(scenario, target, performance, scored, measure, _in_paper_forms(groups[key])))
    return scored_pools


def latest(scores: "pd.DataFrame") -> tuple["pd.DataFrame", list[str]]:
    """Of several rows of one source, target, metric and variant the newest, and what was ignored, in words.

    A score that exists only over a pool of candidates cannot stand beside one of another pool or sample. Where the newest rows
    are of several, scores of a composite metric give way to its parts, from which `pools` forms them anew; of another metric,
    or without the parts, the pool of the newest row stays.
    """
    newest_scores = newest(scores.reset_index(drop=True), [*PAIR, "metric", "variant"])
    passed = len(scores) - len(newest_scores)
    newest_scores, mixed = _of_one_pool(newest_scores)
    notes = []
    if passed:
        notes.append(
            f"scores: of several rows of one source, target and metric (other checkpoints, samples or pools) the newest "
            f"counts; {passed} older ones were ignored."
        )
    return newest_scores, notes + mixed


def _of_one_pool(scores: "pd.DataFrame") -> tuple["pd.DataFrame", list[str]]:
    relative = scores.metric.isin([name for name, metric in all_metrics().items() if metric.is_pool_relative])
    origin = [name for name in tables.TABLES["scores"].identity if name in scores and name != "checkpoint_revision"]
    if not (origin and relative.any()):
        return scores, []
    place = scores.groupby(origin, dropna=False, sort=False).ngroup()
    left_out: list[Any] = []
    formed: dict[str, int] = {}
    dropped = 0
    by = ["benchmark", "scenario", "target", "variant"]
    for key, rows in scores[relative].groupby([*by, "metric"], sort=False):
        if place[rows.index].nunique() < 2:
            continue
        beside = scores[(scores[by] == list(key[:-1])).all(axis=1) & scores.score.notna()]
        name = str(key[-1])
        metric = get_metric(name)
        parts = [set(beside.source[beside.metric == part]) for part in metric.parts]
        complete = set.intersection(*parts) if parts else set()
        if metric.is_composite and set(rows.source[rows.score.notna()]) <= complete:
            left_out += list(rows.index)
            formed[name] = formed.get(name, 0) + len(rows)
        else:
            others = rows.index[place[rows.index] != place[newest(rows, by).index[0]]]
            left_out += list(others)
            dropped += len(others)
    notes = []
    for name, count in formed.items():
        notes.append(f"{name}: {count} scores are of several pools or samples, and were formed anew from their parts.")
    if dropped:
        notes.append(f"{dropped} scores of other pools or samples than the newest of their metric were ignored.")
    return scores.drop(index=left_out), notes


def orientation(metric: str, variant: str, scenario: str, convention: str = "published") -> int:
    """1, or -1 where lower counts as better: in the published convention, some published variants across architectures."""
    if convention not in ORIENTATIONS:
        raise UsageError(unknown_name("orientation", convention, ORIENTATIONS))
    turned = convention == "published" and variant == "published" and scenario == "architecture"
    return -1 if turned and metric in TURNED_ROUND else 1


def methods(of: Sequence[Pool]) -> list[tuple[str, str]]:
    """Every (metric, variant) that has a score in one of the pools."""
    seen_methods: dict[tuple[str, str], None] = {}
    for pool in of:
        there = pool.scores.columns[pool.scores.notna().any()]
        seen_methods |= dict.fromkeys(zip(there.get_level_values("metric"), there.get_level_values("variant"), strict=True))
    return list(seen_methods)


def _in_paper_forms(scores: "pd.DataFrame") -> bool:
    """Whether none of the scores cites another study than the paper."""
    return "citation" not in scores or bool(scores.citation.dropna().astype("str").str.contains(PAPER).all())
