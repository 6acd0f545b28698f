"""The loop is ready, but another thread keeps the GIL. To blame is the other thread's line: it bears the mark."""

import asyncio
import gc
import json
import random
import re
import threading
from functools import partial
from time import thread_time_ns
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now

TURN_NS = 20_000_000
"""CPU time that the loop wants for one honest turn: too little to be a stall, and longer than a switch interval."""
HEAD_START_S = 0.03
"""How long after the hog began the waiting loop is due."""
TRAILING = re.compile(r"\s+$")


def _regex_hog(run: Run) -> int:
    began = now()
    TRAILING.search(run.data)  # BLOCK
    return began


def _json_hog(run: Run) -> int:
    began = now()
    json.dumps(run.data)  # BLOCK
    return began


def _sort_hog(run: Run) -> int:
    began = now()
    sorted(run.data)  # BLOCK
    return began


def _power_hog(run: Run) -> int:
    exponent = run.size
    began = now()
    run.kept = 7**exponent  # BLOCK
    return began


def _collecting_hog(run: Run) -> int:
    began = now()
    gc.collect()  # BLOCK
    return began


def _blanks(setup: Setup) -> str:
    return "x" + " " * setup.size + "x"


def _numbers(setup: Setup) -> list[float]:
    source = random.Random(7)
    return [source.random() for _ in range(setup.size)]


def _use_cpu() -> None:
    """One honest turn: a little Python, measured by CPU time."""
    until = thread_time_ns() + TURN_NS
    while thread_time_ns() < until:
        pass


async def _worker() -> Any:
    """Starts hogs in a worker thread that exists already: `run_in_executor` waits for a new thread to start."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, int)
    return partial(loop.run_in_executor, None)


async def _honest_turn(run: Run, hog: Any) -> None:
    """The hog starts while the loop runs an honest turn, takes the GIL within a switch interval and keeps it."""
    start = await _worker()
    began = run.begin()
    hogging = start(hog, run)
    _use_cpu()
    run.end(began, now())
    await hogging


async def _due(run: Run, hog: Any) -> None:
    """The hog starts while the loop waits, and a timer is due while it still hogs."""
    start = await _worker()
    woken = asyncio.get_running_loop().create_future()
    due = now() + int(HEAD_START_S * 1e9)
    asyncio.get_running_loop().call_later(HEAD_START_S, lambda: woken.set_result(now()))
    hogging = start(hog, run)
    ended = await woken
    run.note(max(due, await hogging), ended)


async def _readable(run: Run, hog: Any) -> None:
    """As above, but it is a socket that becomes ready; the other process says when it wrote."""
    start = await _worker()
    reader, writer = await asyncio.open_connection("127.0.0.1", run.services["later"])
    writer.write(f"reply {int(HEAD_START_S * 1000)}\n".encode())
    hogging = start(hog, run)
    line = await reader.readline()
    ended = now()
    run.note(max(int(line), await hogging), ended)
    writer.close()


@case("gil", size=5_000, degree=2, make=_blanks, work=_regex_hog, via=(_regex_hog,), small=True)
async def regex_beside_a_turn(run: Run) -> None:
    await _honest_turn(run, _regex_hog)


@case("gil", size=300_000, make=_numbers, work=_json_hog, via=(_json_hog,))
async def json_beside_a_turn(run: Run) -> None:
    await _honest_turn(run, _json_hog)


@case("gil", size=300_000, make=_numbers, work=_sort_hog, via=(_sort_hog,), small=True)
async def sort_while_a_timer_is_due(run: Run) -> None:
    await _due(run, _sort_hog)


@case("gil", size=5_000, degree=2, make=_blanks, work=_regex_hog, via=(_regex_hog,))
async def regex_while_a_timer_is_due(run: Run) -> None:
    await _due(run, _regex_hog)


@case("gil", size=5_000, degree=2, make=_blanks, work=_regex_hog, via=(_regex_hog,), service="later")
async def regex_while_a_socket_is_ready(run: Run) -> None:
    await _readable(run, _regex_hog)


@case("gil", size=300_000, make=_numbers, work=_json_hog, via=(_json_hog,), service="later")
async def json_while_a_socket_is_ready(run: Run) -> None:
    await _readable(run, _json_hog)


@case("gil", operator=True, size=500_000, degree=1.58, work=_power_hog, via=(_power_hog,))
async def operator_beside_a_turn(run: Run) -> None:
    await _honest_turn(run, _power_hog)


# Another thread collects: for the loop it is a foreign hold of the GIL, and the garbage collector's work as well.
@case("gil", "gc", size=1_000_000, make=lambda setup: [[n] for n in range(setup.size)], work=_collecting_hog,
      via=(_collecting_hog,))  # fmt: skip
async def collection_in_another_thread(run: Run) -> None:
    await _honest_turn(run, _collecting_hog)


def _count_while(go: threading.Event, wanted: list[bool]) -> int:
    go.wait()
    rounds = 0
    while wanted:  # BLOCK
        rounds += 1  # BLOCK
    return rounds


@case("gil", via=(_count_while,))
async def many_counting_threads(run: Run) -> None:
    """Pure Python in ten threads: each gets its switch interval before the loop gets its own."""
    go, wanted = threading.Event(), [True]
    threads = [threading.Thread(target=_count_while, args=(go, wanted)) for _ in range(10)]
    for thread in threads:
        thread.start()
    await asyncio.sleep(0.1)
    began = run.begin()
    go.set()
    for _ in range(3):  # the loop wants the GIL a dozen times; in which order it is given away is chance
        _use_cpu()
    wanted.clear()
    run.end(began, now())
