"""Short runs within a budget: who gets its runs, who does not, and what a second call repeats."""

import json
from types import SimpleNamespace

import pytest

from hf_transferability import UsageError
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.choosing import reports
from hf_transferability.choosing.contenders import Contender
from hf_transferability.choosing.short_runs import ShortRuns, fine_tune_within, source_names
from hf_transferability.choosing.timing import Images
from hf_transferability.progress import NullProgress
from hf_transferability.training.samples import Splits
from hf_transferability.training.settings import RowLabels, SplitNames

EACH = 120.0  # seconds of the two runs of a contender


@pytest.fixture
def within(target, pool, tmp_path, instant_runs):
    """within(budget, seconds) -> outcome, where a contender's two runs are expected to take so long; or those of each."""
    contenders = [Contender(name, place, True) for place, name in enumerate(pool, 1)]
    folder = tmp_path / "runs"
    work = ShortRuns(
        target, folder, Images(32, 0, 0), 3, SplitNames(), RowLabels(), source_names(pool), LoadOptions(), {}
    )  # fmt: skip
    folder.mkdir()

    def run(budget: float, *seconds: float):
        each = seconds if len(seconds) > 1 else (seconds or (EACH,)) * len(pool)
        steps = {
            name: {"training": one / 4, "evaluation": 0.0, "batch_size": 32}  # two runs of two epochs of one step
            for name, one in zip(pool, each, strict=True)
        }
        (folder / "steps.json").write_text(json.dumps(steps))
        return fine_tune_within(budget, contenders, work, NullProgress())

    return run


def test_the_budget_is_spent_in_rank_order(within, pool, instant_runs):
    outcome = within(2.5 * EACH)
    assert [result.name for result in outcome.results] == pool[:2] and outcome.left_out == pool[2:]
    assert (outcome.seconds, outcome.needed) == (2 * EACH, None)
    assert instant_runs == [pool[0]] * 2 + [pool[1]] * 2
    more = within(10 * EACH)  # a larger budget goes on
    assert [result.name for result in more.results] == pool and more.left_out == []
    assert instant_runs == [pool[0]] * 2 + [pool[1]] * 2 + [pool[2]] * 2
    assert [result.validation_auc for result in more.results] == [0.6, 0.9, 0.6]


def test_all_contenders_share_the_images_that_are_read_once(within, pool, monkeypatch):
    read, load = [], Splits._load
    monkeypatch.setattr(
        Splits, "_load", staticmethod(lambda dataset, name, options: read.append(name) or load(dataset, name, options))
    )
    assert len(within(2 * EACH).results) == 2 and len(within(10 * EACH).results) == 3  # the second call also checks the first's
    assert read == ["train", "validation", "test"]


def test_a_budget_for_fewer_than_two_starts_nothing_and_says_what_works(within, instant_runs):
    outcome = within(1.5 * EACH)
    assert instant_runs == [] == outcome.results and outcome.needed == pytest.approx(2 * EACH)
    assert within(outcome.needed).needed is None and len(instant_runs) == 4


def test_runs_that_take_longer_than_expected_leave_fewer_for_the_next(within, pool):
    outcome = within(2.5 * EACH, EACH / 10)
    assert [result.name for result in outcome.results] == pool[:2] and outcome.left_out == pool[2:]
    again = within(2.5 * EACH, EACH / 10)  # nor does the same call start what the first one had no time for
    assert (again.left_out, again.results) == (outcome.left_out, outcome.results)


def test_a_first_that_would_leave_nothing_to_compare_it_with_is_left_out(within, pool, instant_runs):
    outcome = within(2.5 * EACH, 2 * EACH, EACH, EACH)
    assert [result.name for result in outcome.results] == pool[1:] and outcome.left_out == pool[:1]
    assert instant_runs == [pool[1]] * 2 + [pool[2]] * 2


@pytest.mark.parametrize("content", ["no JSON", "[]", "[" * 10**5, "a step of another form", "a step of no images"])
def test_other_measured_steps_are_refused(target, pool, tmp_path, instant_runs, content):
    steps = {
        "a step of another form": {"training": 1.0},
        "a step of no images": {"training": 1.0, "evaluation": 1.0, "batch_size": 0},
    }
    text = json.dumps({pool[0]: steps[content]}) if content in steps else content
    (tmp_path / "steps.json").write_text(text)
    work = ShortRuns(
        target, tmp_path, Images(32, 0, 0), 3, SplitNames(), RowLabels(), source_names(pool), LoadOptions(), {}
    )  # fmt: skip
    with pytest.raises(UsageError, match="`output` must be a folder of `choose`; steps\\.json"):
        fine_tune_within(1e9, [Contender(name, place, True) for place, name in enumerate(pool, 1)], work, NullProgress())
    assert instant_runs == []


def test_a_contender_that_cannot_be_trained_is_a_result_with_its_reason(target, pool, tmp_path, instant_runs):
    names = [*pool[:2], str(tmp_path / "missing")]
    contenders = [Contender(name, place, True) for place, name in enumerate(names, 1)]
    work = ShortRuns(
        target, tmp_path / "runs", Images(32, 0, 0), 3, SplitNames(), RowLabels(), source_names(names), LoadOptions(), {}
    )  # fmt: skip
    outcome = fine_tune_within(1e9, contenders, work, NullProgress())
    assert len(outcome.results) == 3 and "there is no folder" in str(outcome.results[2].note)
    assert outcome.results[2].validation_auc is None


def test_two_folders_of_one_name_have_runs_of_their_own(tmp_path):
    names = []
    for parent in ("a", "b"):
        (tmp_path / parent / "net").mkdir(parents=True)
        names.append(str(tmp_path / parent / "net"))
    assert list(source_names([*names, "owner/net"]).values()) == ["net", "net-2", "owner/net"]


def test_a_run_that_takes_longer_than_the_budget_is_stopped_and_left_out(within, pool, monkeypatch):
    seconds = iter(range(0, 10_000, 100))  # each look at the clock is 100 seconds later
    monkeypatch.setattr(reports, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    outcome = within(2.2 * EACH, EACH)
    assert [result.name for result in outcome.results] == pool[:1]  # its second look was in time
    assert outcome.left_out == pool[1:] and outcome.needed is None


def test_a_failure_of_a_run_does_not_hide_that_time_is_over(monkeypatch):
    monkeypatch.setattr(reports, "time", SimpleNamespace(monotonic=iter([0.0, 5.0, 11.0]).__next__))
    within_time = reports.WithinTime(NullProgress(), 10)
    within_time.advance(1)
    with pytest.raises(reports.OutOfTime):
        within_time.advance(2)
    assert not issubclass(reports.OutOfTime, Exception)  # so that it is no failed run
