"""A choice in words: the lines that are printed, the table of those that were fine-tuned, and a section for a model card."""

from collections.abc import Mapping
from typing import Any

from hf_transferability.choosing.decision import Decision, standard_error
from hf_transferability.choosing.short_runs import PROTOCOL, SETTINGS, Outcome
from hf_transferability.escaping import markdown
from hf_transferability.names import plain_name
from hf_transferability.ranking.notes import few, no_ranking
from hf_transferability.ranking.result import Ranking
from hf_transferability.results import label_alarm

TITLES = ["checkpoint", "rank", "validation AUC", "test AUC", "learning rate", "runs", "minutes"]
_NOTHING = "-"


def explained(
    decision: Decision,
    outcome: Outcome,
    ranking: Ranking,
    budget: float,
    cost: Mapping[str, float],
    why_not: str | None,
) -> list[str]:
    """The answer, line by line, without the next command.

    Args:
        decision: what is recommended.
        outcome: of the short runs.
        ranking: of all candidates.
        budget: minutes.
        cost: of `Choice`.
        why_not: why nothing was fine-tuned.
    """
    if decision.recommended is None:
        reason = [*no_ranking(ranking.rows, ranking.metric), "fewer than two candidates have a rank."][0]
        return [f"no recommendation, as {reason}", *_failed(ranking)]
    lines = [*label_alarm(ranking.to_dict()), _recommended(decision)]
    if decision.runner_up:
        lines.append(f"runner-up: {decision.runner_up}{_auc(decision, decision.runner_up)}.")
    if decision.by == "ranking":
        too_few = "no time was left to compare two: pass a larger --budget" if outcome.left_out else "too few short runs ended"
        lines.append(f"the ranking decides: {why_not or too_few}.")
    else:
        lines += [*_within_error(decision), _standard_error(decision)]
    lines += [_loss(decision, ranking), *_failed(ranking)]
    failed = [f"{result.name} ({result.note.rstrip('.')})" for result in decision.results if result.note]
    lines += [f"not compared: {'; '.join(failed)}."] if failed else []
    if decision.by == "fine-tuning" and outcome.left_out:
        lines.append(f"no time was left for {', '.join(outcome.left_out)}: pass a larger --budget to compare them, too.")
    return [*lines, _spent(cost, len(ranking.rows), budget)]


def _failed(ranking: Ranking) -> list[str]:
    """Who could not be ranked: the reason of one, and the names of several."""
    failed = [row for row in ranking.rows if row["error"]]
    if not failed:
        return []
    names = few([str(row["checkpoint"]) for row in failed], 3)
    reason = f"{names}: ranking.json has the reasons."
    if len(failed) == 1:
        error = str(failed[0]["error"])
        reason = error if names in error else f"{names}: {error}"
    return [f"{len(failed)} of {len(ranking.rows)} candidates failed: {reason}"]


def _spent(cost: Mapping[str, float], n_candidates: int, budget: float) -> str:
    """What was spent in this call, and what of earlier ones was used."""
    extraction, cached = cost["extraction_seconds"], cost["cached_extraction_seconds"]
    seconds, earlier = cost["short_run_seconds"], cost["earlier_short_run_seconds"]
    allowed = "1 minute" if budget == 1 else f"{budget:g} minutes"
    runs = f"{cost['short_runs']} short runs in {_duration(seconds - earlier)}{_of_earlier(earlier)} of {allowed}"
    return (
        f"cost: {_duration(extraction)} of extraction{_of_earlier(cached)} for {n_candidates} candidates, and "
        f"{runs if cost['short_runs'] else 'no short runs'}."
    )


def _of_earlier(seconds: float) -> str:
    return f" (and {_duration(seconds)} in earlier calls)" if seconds else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def table(decision: Decision) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the contenders that were fine-tuned, the recommended one first."""
    ordered = sorted(
        decision.results,
        key=lambda result: (result.name != decision.recommended, -(result.validation_auc or 0.0), result.rank),
    )
    rows = [
        [
            result.name,
            str(result.rank),
            *(_NOTHING if value is None else f"{value:.3f}" for value in (result.validation_auc, result.test_auc)),
            _NOTHING if result.learning_rate is None else f"{result.learning_rate:g}",
            str(result.runs),
            f"{result.seconds / 60:.1f}" if result.seconds >= 6 or not result.seconds else "< 0.1",
        ]
        for result in ordered
    ]
    return TITLES, rows


def card_section(choice: Mapping[str, Any], ranking: Mapping[str, Any]) -> str:
    """A section for the model card of what is fine-tuned next: from what, and why.

    Args:
        choice: `Choice.to_dict()`.
        ranking: `Ranking.to_dict()` of all candidates.
    """
    if choice["recommended"] is None:
        return "No checkpoint was chosen.\n"
    dataset, n_scored = ranking["dataset"], sum(row["score"] is not None for row in ranking["rows"])
    failed = f" ({len(ranking['rows']) - n_scored} more could not be ranked)" if n_scored < len(ranking["rows"]) else ""
    dropped = [row["dropped_at"] for row in ranking["rows"] if row["score"] is not None and row.get("dropped_at")]
    raced = f"; a race dropped {len(dropped)} of them after {max(dropped)} images" if dropped else ""
    chosen, target = (markdown.text(plain_name(name)) for name in (choice["recommended"], dataset.get("id") or "(files)"))
    lines = [
        "## How the base checkpoint was chosen",
        "",
        f"{chosen} was chosen for {target} among {n_scored} checkpoints{failed} by `hf-transferability choose`: ranked by "
        f"{markdown.text(ranking['metric'])} on {dataset.get('images')} images (seed {dataset.get('seed')}{raced}), "
        f"then decided by {'short fine-tuning' if choice['by'] == 'fine-tuning' else 'the ranking'}.",
        "",
    ]
    if choice["expected_loss"] is not None:
        lines += [
            f"Expected loss against the best of them: {choice['expected_loss']:.3f} of 1, in the benchmarks' measures.",
            "",
        ]
    if label_alarm(ranking):
        lines += ["Check the labels: the features of the first candidate fit them no better than shuffled labels.", ""]
    rows = [[plain_name(str(row[0])), *row[1:]] for row in choice["table"]["rows"]]
    if rows:
        lines += [_protocol(choice["run"]), "", markdown.table(choice["table"]["titles"], rows), ""]
    return "\n".join(lines)


def _protocol(run: Mapping[str, Any] | None) -> str:
    """How the short runs were made, and on what, as far as a run is there that says it."""
    rates = " and ".join(f"{setting.learning_rate:g}" for setting in SETTINGS)
    where = f", {run['sample_size']} training and {run['validation_images']} validation images" if run else ""
    when = f" Made on {markdown.text(run['hardware'])}, {run['date']}." if run else ""
    return (
        f"Short runs: at most {PROTOCOL.epochs} epochs at learning rates {rates}{where}. Where validation AUCs differ by less "
        f"than their error, the ranking decides; the test AUC is not used.{when}"
    )


def _recommended(decision: Decision) -> str:
    return f"recommended: {decision.recommended}{_auc(decision, str(decision.recommended))}."


def _auc(decision: Decision, name: str) -> str:
    """The figure behind a name, where there is one."""
    found = [result for result in decision.results if result.name == name and result.validation_auc is not None]
    if not found:
        return ""
    return f" (validation AUC {found[0].validation_auc:.3f} after short fine-tuning, rank {found[0].rank})"


def _within_error(decision: Decision) -> list[str]:
    """Who had the highest validation AUC, where that is another one, and why it does not count."""
    compared = [result for result in decision.results if result.validation_auc is not None]
    best = max(compared, key=lambda result: (result.validation_auc, -result.rank))
    if best.name == decision.recommended:
        return []
    return [
        f"{best.name} has the highest validation AUC ({best.validation_auc:.3f}), but {best.validation_images} images are too "
        "few to prefer it over the order of the ranking."
    ]


def _standard_error(decision: Decision) -> str:
    """How far the validation AUCs can be trusted."""
    compared = [result for result in decision.results if result.validation_auc is not None]
    n_images = min(result.validation_images or 1 for result in compared)
    error = max(standard_error(result.validation_auc or 0.0, n_images) for result in compared)
    return f"validation AUCs of {n_images} images have a standard error of about {error:.2g}: smaller differences say little."


def _loss(decision: Decision, ranking: Ranking) -> str:
    if decision.expected_loss is None:
        return "its expected loss against the best is unknown: the benchmarks have no results for a ranking like this."
    n_scored = sum(row["score"] is not None for row in ranking.rows)
    return (
        f"expected loss against the best of {n_scored} candidates: {decision.expected_loss:.3f} of 1, in the "
        "benchmarks' measures (most are AUC)."
    )
