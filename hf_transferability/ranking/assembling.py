"""From scored candidates to a ranking: scenario, order, what is known elsewhere, notes and advice."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hf_transferability.benchmark.advice import advise, without_conclusions
from hf_transferability.benchmark.known import KnownResults
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.data.options import SampleOptions
from hf_transferability.metrics import get_metric
from hf_transferability.names import to_paste
from hf_transferability.ranking.candidates import Candidate
from hf_transferability.ranking.known import with_known
from hf_transferability.ranking.label_check import checked_labels
from hf_transferability.ranking.next_command import finetune_words
from hf_transferability.ranking.parts import Part
from hf_transferability.ranking.race import Dropped, dropped_rows
from hf_transferability.ranking.result import Ranking
from hf_transferability.ranking.rows import metric_versions, ranked
from hf_transferability.ranking.scenario import choose_scenario
from hf_transferability.results import Row, label_alarm


def assemble_ranking(
    part: Part,
    dataset: Any,
    scenario: str,
    variant: str,
    elsewhere: KnownResults,
    sample: SampleOptions,
    load: LoadOptions,
    p_value: Callable[[str], float | None],
    dropped_candidates: Sequence[Candidate] = (),
    dropped: Sequence[Dropped] = (),
) -> tuple[Ranking, list[str], list[str]]:
    """The ranking of scored candidates.

    Args:
        part: all candidates of the pool.
        dataset: as the user named it, or loaded.
        scenario: that was asked for.
        variant: form of the metrics.
        elsewhere: what is known of checkpoints elsewhere.
        sample, load: how the user asked to read dataset and checkpoints, for the command that follows.
        dropped_candidates: candidates that a race has dropped, as they would be on the whole sample; see `ranking.estimates`.
        dropped: what a race has dropped, the last of the candidates.
        p_value: of a candidate's features against shuffled labels, by its name; see `label_check`.

    Returns:
        The ranking, and what to tell the user, with the path of a local folder, which the ranking does not hold: those of its
        notes that no flag stands for, and its advice.
    """
    sorting, where = part.metrics[0], part.dataset
    scenario, notes = choose_scenario(scenario, part.candidates)
    candidates, cited = with_known(part.candidates, elsewhere, where, load.token)
    last = len(candidates) - len(dropped)
    rows, notes_of_pool = ranked(candidates[:last], part.metrics, variant, scenario, dropped_candidates)
    rows += dropped_rows(dropped, candidates[last:], part.metrics, variant)
    label_check = checked_labels(rows, p_value)
    alarm = label_alarm({"label_check": label_check})
    notes = [*(notes if get_metric(sorting).uses_scenario else []), *notes_of_pool, *alarm, *part.notes]
    named = str(dataset) if isinstance(dataset, str | Path) else None
    words, has_test_split = finetune_words(sample, load, scenario), "test" in where["account"]["rows"]
    size = sum(row["score"] is not None for row in rows) if dropped else None
    advice, advice_here = (
        advise(rows, sorting, variant, scenario, name, part.task, words, has_test_split, size)
        for name in (named and to_paste(named), named)
    )
    if alarm:
        advice, advice_here = without_conclusions(advice), None
    told = [note for note in notes if not _is_of_a_flag(note, rows)]
    advised = advice_here["text"] if advice_here else []
    notes += advice["text"] if advice else []
    versions = metric_versions(part.keys, part.metrics)
    ranking = Ranking(
        rows, where, scenario, sorting, notes, versions, part.versions, advice=advice, known=cited, label_check=label_check
    )
    return ranking, told, advised


def _is_of_a_flag(note: str, rows: Sequence[Row]) -> bool:
    """Whether a note says what a flag of the rows does, which the table explains below."""
    return any(f": {flag}: " in note for row in rows for flag in row["flags"])
