"""The thread asked to sleep."""

import asyncio
import random
import select
import time
from functools import partial
from typing import Any

from benchmarks.accuracy.case import Run, case, now
from benchmarks.accuracy.places import ALL


@case("sleep", places=ALL, small=True)
def time_sleep(run: Run) -> None:
    began = run.begin()
    time.sleep(run.seconds)  # BLOCK
    run.end(began, now())


@case("sleep")
async def in_the_coroutine(run: Run) -> None:
    """The blocking line stands in an async function, with honest awaits around it."""
    await asyncio.sleep(0.005)
    began = run.begin()
    time.sleep(run.seconds)  # BLOCK
    run.end(began, now())
    await asyncio.sleep(0.005)


def _backoff(attempt: int, seconds: float) -> None:
    pause = seconds * (1 + attempt / 10)
    time.sleep(pause)  # BLOCK


@case("sleep", via=(_backoff,))
def own_retry(run: Run) -> None:
    """The user's own helper sleeps: its line is the innermost of the user's, the caller's is not wrong for that."""
    began = run.begin()
    _backoff(1, run.seconds)  # BLOCK
    run.end(began, now())


def _deep(levels: int, seconds: float) -> None:
    if levels == 0:
        time.sleep(seconds)  # BLOCK
        return
    _deep(levels - 1, seconds)


@case("sleep", places=("handler",), via=(_deep,))
def under_150_frames(run: Run) -> None:
    """Deeper than any bound on frames: the two ends of the stack are what matters."""
    began = run.begin()
    _deep(150, run.seconds)
    run.end(began, now())


@case("sleep", places=("dependency",))
def on_a_long_line(run: Run) -> None:
    """Two calls on one line: only one of them blocks."""
    began = run.begin()
    pause = min(random.random() + run.seconds, run.seconds); time.sleep(pause); run.kept = pause  # noqa: E702  # BLOCK
    run.end(began, now())


@case("sleep")
def select_nothing(run: Run) -> None:
    """`select` with nothing to wait for: the old way to sleep for less than a second."""
    began = run.begin()
    select.select([], [], [], run.seconds)  # BLOCK
    run.end(began, now())


def _patient_pool(run: Run) -> Any:
    import urllib3

    retry = urllib3.Retry(total=2, backoff_factor=run.seconds / 2, status_forcelist=[503], raise_on_status=False)
    return urllib3.PoolManager(retries=retry)


@case("sleep", modules=("urllib3",), service="http", prepare=_patient_pool)
def urllib3_backoff(run: Run) -> None:
    """The library sleeps between its retries (the first of them is immediate): refusals themselves are quick."""
    url = f"http://127.0.0.1:{run.services['http']}/refuse"
    began = run.begin()
    run.given.request("GET", url)  # BLOCK
    run.end(began, now())


@case("sleep")
async def no_frame_of_its_own(run: Run) -> None:
    """The loop calls `time.sleep` itself: there is no Python line to blame."""
    await _between_clocks(run, time.sleep, run.seconds)


@case("sleep")
async def a_partial_of_it(run: Run) -> None:
    """As above, behind a partial."""
    await _between_clocks(run, partial(time.sleep, run.seconds))


async def _between_clocks(run: Run, *callback: Any) -> None:
    """Has the loop run the callback with a clock before and after it, all three in one turn."""
    loop = asyncio.get_running_loop()
    clocks: list[int] = []
    done = loop.create_future()
    loop.call_soon(lambda: clocks.append(run.begin()))
    loop.call_soon(*callback)
    loop.call_soon(lambda: done.set_result(now()))
    ended = await done
    run.end(clocks[0], ended)
