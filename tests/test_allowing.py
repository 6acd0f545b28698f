"""`loopwatch.allow`: who allows what, where, and for how long."""

import asyncio
import inspect
import threading

import pytest

import loopwatch
from loopwatch.errors import SettingError
from loopwatch.probes import allowances

EVER = 1 << 62


def open_now():
    """Reasons of the allowances of this thread that are under way."""
    return [one.reason for one in allowances.within(threading.get_ident(), 0, EVER) if one.end_ns is None]


def latest(reason):
    """The latest allowance of that reason."""
    return [one for one in allowances.within(threading.get_ident(), 0, EVER) if one.reason == reason][-1]


# ── as a context manager ────────────────────────────────────────────────────────────────────────────────────────────


def test_block():
    """Within the block blocking is allowed, after it no more."""
    with loopwatch.allow("block"):
        assert open_now() == ["block"]

    assert open_now() == []
    assert latest("block").start_ns <= latest("block").end_ns


def test_error():
    """An error in the block ends the allowance, and goes on."""
    with pytest.raises(KeyError), loopwatch.allow("error"):
        raise KeyError

    assert open_now() == []


def test_nested():
    """Allowances nest, also of one object."""
    allow = loopwatch.allow("nested")

    with allow, loopwatch.allow("inner"), allow:
        assert sorted(open_now()) == ["inner", "nested", "nested"]
    assert open_now() == []


def test_bound():
    """The bound is kept with the allowance, in nanoseconds."""
    with loopwatch.allow("bound", up_to_ms=1.5):
        pass

    assert latest("bound").up_to_ns == 1_500_000


def test_other_thread():
    """What one thread allows says nothing about another."""
    seen = []
    with loopwatch.allow("mine"):
        thread = threading.Thread(target=lambda: seen.append(open_now()))
        thread.start()
        thread.join()

    assert seen == [[]]


# ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_belongs_to_its_task():
    """An allowance carries the task that entered it; a callback and plain code have none."""

    async def main():
        with loopwatch.allow("task"):
            return id(asyncio.current_task())

    task_id = asyncio.run(main())
    with loopwatch.allow("plain"):
        pass

    assert latest("task").task_id == task_id
    assert latest("plain").task_id is None


def test_across_awaits():
    """It lasts while its task waits, and tasks that share one object end each their own, in any order."""
    allow = loopwatch.allow("shared")
    first_may_go, seen = asyncio.Event(), []

    async def first():
        with allow:
            await first_may_go.wait()
        seen.append(len(open_now()))

    async def second():
        with allow:
            seen.append(len(open_now()))
            first_may_go.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(
                [one.task_id for one in allowances.within(threading.get_ident(), 0, EVER) if one.end_ns is None]
            )

    async def main():
        tasks = [asyncio.create_task(one()) for one in (first, second)]
        await asyncio.gather(*tasks)
        return id(tasks[1])

    task_id = asyncio.run(main())

    assert seen == [2, 1, [task_id]]
    assert open_now() == []


def test_left_by_another_task():
    """A block that another task leaves than entered it, as test fixtures do, has ended all the same."""
    allow = loopwatch.allow("handed over")

    async def enter():
        allow.__enter__()

    async def leave():
        allow.__exit__(None, None, None)

    async def main():
        entering = asyncio.create_task(enter())
        await entering
        await asyncio.create_task(leave())
        return entering  # alive until now, so that its id is its own

    asyncio.run(main())
    still_open = open_now()
    allowances._open.clear()

    assert still_open == []


# ── as a decorator ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_function():
    """A decorated function allows blocking in each of its calls, and stays itself otherwise."""

    @loopwatch.allow("function")
    def add(one, two=2):
        """Adds."""
        return one + two, open_now()

    assert add(1, two=3) == (4, ["function"])
    assert open_now() == []
    assert (add.__name__, add.__doc__) == ("add", "Adds.")


def test_coroutine_function():
    """A decorated coroutine function allows blocking while it runs, not when it is merely called."""

    @loopwatch.allow("coroutine", up_to_ms=5)
    async def add(one, two):
        await asyncio.sleep(0)
        return one + two, open_now()

    assert inspect.iscoroutinefunction(add)
    coroutine = add(1, 2)
    assert open_now() == []
    assert asyncio.run(coroutine) == (3, ["coroutine"])
    assert latest("coroutine").up_to_ns == 5_000_000


def test_recursion():
    """A decorated function may call itself."""

    @loopwatch.allow("recursion")
    def depth(left):
        return depth(left - 1) if left else len(open_now())

    assert depth(3) == 4
    assert open_now() == []


# ── errors, and memory ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", ["", "  ", None, print])
def test_no_reason(reason):
    """An allowance needs words: a decorator without brackets is told so at once."""
    with pytest.raises(SettingError, match=r"invalid reason .* say in words"):
        loopwatch.allow(reason)


@pytest.mark.parametrize("up_to_ms", [0, -1, "5", True, float("nan"), float("inf")])
def test_wrong_bound(up_to_ms):
    """A bound is milliseconds above zero; the error names the value and the remedy."""
    with pytest.raises(SettingError, match=f"invalid up_to_ms {up_to_ms!r} .* give milliseconds above 0, or None"):
        loopwatch.allow("bound", up_to_ms=up_to_ms)


def test_within():
    """Only allowances that overlap the given time are told."""
    with loopwatch.allow("overlap"):
        pass
    one = latest("overlap")

    def reasons(start_ns, end_ns):
        return [found.reason for found in allowances.within(one.thread_id, start_ns, end_ns) if found == one]

    assert reasons(one.start_ns, one.end_ns + 1) == ["overlap"]
    assert reasons(0, one.start_ns) == reasons(one.end_ns, EVER) == []


def test_bounded_memory():
    """Allowances that are over are forgotten in the end."""
    for _ in range(5000):
        with loopwatch.allow("many"):
            pass

    assert len(allowances.within(threading.get_ident(), 0, EVER)) <= 1024
