"""The thread that speaks when nothing was said for a while."""

import threading

from hf_transferability.heartbeat import Heartbeat


class Clock:
    """A time that only the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_heartbeat() -> tuple[Heartbeat, Clock, list[float]]:
    clock, spoken = Clock(), []
    return Heartbeat(lambda: spoken.append(clock.now), 20.0, clock), clock, spoken


def test_it_speaks_when_nothing_was_heard_for_so_long_and_again_after_as_long():
    heartbeat, clock, spoken = a_heartbeat()
    assert heartbeat.beat() == 20
    clock.now += 19
    assert heartbeat.beat() == 1
    clock.now += 1
    assert heartbeat.beat() == 20
    clock.now += 25  # the machine was busy
    heartbeat.beat()
    assert spoken == [120, 145]


def test_what_others_say_counts():
    heartbeat, clock, spoken = a_heartbeat()
    for _ in range(10):
        clock.now += 15
        heartbeat.heard()
        assert heartbeat.beat() == 20
    assert not spoken


def test_it_says_nothing_inside_what_must_stay_in_one_piece():
    heartbeat, clock, spoken = a_heartbeat()
    with heartbeat.held():
        clock.now += 60
        late = threading.Thread(target=heartbeat.beat)
        late.start()
        late.join(0.1)
        assert late.is_alive()
        assert not spoken
    late.join()
    assert heartbeat.beat() <= 20


def test_its_thread_ends_when_it_is_stopped_and_says_nothing_afterwards():
    heartbeat, clock, spoken = a_heartbeat()
    heartbeat.start()
    heartbeat.start()
    assert [thread.name for thread in threading.enumerate()].count("heartbeat") == 1
    heartbeat.stop()
    assert "heartbeat" not in [thread.name for thread in threading.enumerate()]
    clock.now += 60
    heartbeat.beat()
    assert not spoken


def test_its_thread_speaks_by_itself():
    spoken = threading.Event()
    heartbeat = Heartbeat(spoken.set, 0.01)
    heartbeat.start()
    assert spoken.wait(30)
    heartbeat.stop()
