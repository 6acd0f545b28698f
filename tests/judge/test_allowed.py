"""Does an allowance cover the stall?"""

import pytest
from facts import allowance, frame, observation, origin, sample, stall

from loopwatch.judge.allowed import Standing, excuse, standing_reason

MINE, OTHER = 1, 2
THRESHOLD_MS = 100


def excused(*allowances, tasks=(MINE,) * 4, duration_ms=400):
    """The reason for which a stall in these tasks is excused."""
    seen = [sample(50 * number, task_id=task) for number, task in enumerate(tasks, 1)]
    return excuse(observation(*seen, duration_ms=duration_ms, allowances=allowances), THRESHOLD_MS)


def of(task, from_ms, to_ms, **fields):
    """An allowance of one task."""
    return allowance(from_ms, to_ms, task_id=task, **fields)


def test_none():
    """Without an allowance nothing is excused."""
    assert excused() is None


@pytest.mark.parametrize("to_ms", [400, None])
def test_covered(to_ms):
    """A stall that happened within an allowance is excused for its reason, also while the allowance lasts."""
    assert excused(of(MINE, 0, to_ms, reason="model is loaded")) == "model is loaded"


def test_rest_below_the_threshold():
    """What is not covered must not be a stall by itself."""
    assert excused(of(MINE, 50, 360)) == "warm-up"
    assert excused(of(MINE, 50, 345)) is None


def test_bound():
    """No more than `up_to_ms` is excused, however long the allowance lasted."""
    assert excused(of(MINE, 0, 400, up_to_ns=350_000_000)) == "warm-up"
    assert excused(of(MINE, 0, 400, up_to_ns=300_000_000)) is None


def test_other_task():
    """A task that waits within its allowance does not excuse another one that blocks meanwhile."""
    assert excused(of(MINE, -1000, None), tasks=(OTHER,) * 4) is None


def test_own_task_across_awaits():
    """An allowance that was entered in an earlier turn counts when its own task blocks."""
    assert excused(of(MINE, -1000, None)) == "warm-up"


def test_mostly_own_task():
    """In a turn of several tasks the allowance counts if its own one ran for half of the samples."""
    assert excused(of(MINE, -1000, None), tasks=(MINE, MINE, OTHER, OTHER)) == "warm-up"
    assert excused(of(MINE, -1000, None), tasks=(MINE, OTHER, OTHER, OTHER)) is None


def test_callback():
    """A callback has no task: an allowance that it entered within the turn counts."""
    assert excused(allowance(0, 400), tasks=(None,) * 4) == "warm-up"


def test_no_sample():
    """Where no sample was taken, an allowance that was entered within the turn is believed, an older one is not."""
    assert excused(of(MINE, 0, 400), tasks=()) == "warm-up"
    assert excused(of(MINE, -1000, 400), tasks=()) is None


def test_second_of_two():
    """The first allowance that covers the stall gives the reason."""
    assert excused(of(MINE, 0, 20, reason="start"), of(MINE, 20, 400, reason="model")) == "model"


def test_many_short_ones():
    """Allowances that cover a stall only together excuse it: an allowed function may be called in a loop."""
    calls = [of(MINE, start, start + 75) for start in range(0, 400, 80)]

    assert excused(*calls) == "warm-up"


def test_nested_ones_count_once():
    """Time that two allowances cover is not covered twice."""
    assert excused(of(MINE, 0, 200), of(MINE, 10, 190)) is None


def test_frames_do_not_matter():
    """Only the task tells whose allowance it is, not the code that ran."""
    seen = [sample(at, frame("helper", at), task_id=MINE) for at in (100, 200, 300)]

    assert excuse(observation(*seen, allowances=(of(MINE, 0, 400),)), THRESHOLD_MS) == "warm-up"


# ── of one kind, from whichever task ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("what", "covered"),
    [
        ("0123456789ab", True),
        ("shop:handler", True),
        ("shop:hand", False),
        ("other:handler", False),
        ("/srv/shop.py:10", False),
    ],
)
def test_kinds(what, covered):
    """A kind is a fingerprint, or the module and function of the line."""
    assert standing_reason(stall(), [Standing(what, "ticket 4711")]) == ("ticket 4711" if covered else None)


def test_kind_of_a_comprehension():
    """A comprehension belongs to the function in which it stands, as in fingerprints."""
    within = stall(origin=origin("handler.<locals>.<listcomp>"))

    assert standing_reason(within, [Standing("shop:handler", "known")]) == "known"


def test_kind_without_a_line():
    """A stall without a line can be allowed by its fingerprint only."""
    bare = stall(origin=None)

    assert standing_reason(bare, [Standing("shop:handler", "no"), Standing("0123456789ab", "yes")]) == "yes"


@pytest.mark.parametrize(("up_to_ms", "covered"), [(300, False), (301, True), (None, True)])
def test_kind_up_to(up_to_ms, covered):
    """No more than `up_to_ms` is excused: what is left must not be a stall by itself."""
    assert Standing("shop:handler", "known", up_to_ms).covers(stall(400)) is covered
