"""What had the loop run it."""

import pytest
from facts import frame, observation, samples

from loopwatch.judge import judge
from loopwatch.judge.callers import PORTAL, WAYS, called_from


def handed_in(module, function):
    """A stack whose outermost frame is that one."""
    return (frame(function, module=module, kind="library"), frame())


@pytest.mark.parametrize(("module", "function", "words"), WAYS)
def test_ways(module, function, words):
    """Each way into a loop from another thread is told from what calls the user's code."""
    assert called_from(handed_in(module, f"{function}<locals>.wrapper")) == words


def test_nobody():
    """A stack of the loop's own task says nothing, nor does another library's function of the same name."""
    assert called_from((frame(),)) is None
    assert called_from(()) is None
    assert called_from(handed_in("shop.jobs", "Run.now")) is None


def test_stall():
    """A stall says it; one without samples does not."""
    seen = samples(*handed_in("anyio.from_thread", "BlockingPortal._call_func"))

    assert judge(observation(*seen), 100).called_from == PORTAL
    assert judge(observation(), 100).called_from is None
