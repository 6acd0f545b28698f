"""The thread waits for another thread: a lock, a queue, a future, its end."""

import asyncio
import concurrent.futures
import hashlib
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL


def _later(run: Run, action: Any, *args: Any) -> None:
    """Has another thread do it after the wait that this run wants."""
    threading.Timer(run.seconds, action, args).start()


def _holding(run: Run, lock: Any) -> Any:
    """The lock, held by another thread for as long as this run wants."""
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            time.sleep(run.seconds)

    threading.Thread(target=hold).start()
    held.wait()
    return lock


def _pool(setup: Setup) -> ThreadPoolExecutor:
    return setup.closing.enter_context(ThreadPoolExecutor(2))


@case("lock", places=ALL, small=True, prepare=lambda run: _holding(run, threading.Lock()))
def lock_acquire(run: Run) -> None:
    began = run.begin()
    run.given.acquire()  # BLOCK
    run.end(began, now())
    run.given.release()


@case("lock", prepare=lambda run: _holding(run, threading.RLock()))
def with_rlock(run: Run) -> None:
    began = run.begin()
    with run.given:  # BLOCK
        ended = now()
    run.end(began, ended)


def _set_later(run: Run) -> threading.Event:
    event = threading.Event()
    _later(run, event.set)
    return event


@case("lock", prepare=_set_later)
def event_wait(run: Run) -> None:
    began = run.begin()
    run.given.wait()  # BLOCK
    run.end(began, now())


@case("lock", prepare=_set_later, places=("async_generator",))
def event_wait_with_timeout(run: Run) -> None:
    began = run.begin()
    run.given.wait(timeout=5)  # BLOCK
    run.end(began, now())


def _notify_later(run: Run) -> threading.Condition:
    condition = threading.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    _later(run, notify)
    return condition


@case("lock", prepare=_notify_later)
def condition_wait(run: Run) -> None:
    with run.given:
        began = run.begin()
        run.given.wait()  # BLOCK
        run.end(began, now())


def _released_later(run: Run) -> threading.Semaphore:
    semaphore = threading.Semaphore(0)
    _later(run, semaphore.release)
    return semaphore


@case("lock", prepare=_released_later, places=("dependency",))
def semaphore_acquire(run: Run) -> None:
    began = run.begin()
    run.given.acquire()  # BLOCK
    run.end(began, now())


def _put_later(run: Run, kind: Any) -> Any:
    items = kind()
    _later(run, items.put, "late")
    return items


@case("lock", small=True, prepare=lambda run: _put_later(run, queue.Queue))
def queue_get(run: Run) -> None:
    began = run.begin()
    run.given.get()  # BLOCK
    run.end(began, now())


@case("lock", prepare=lambda run: _put_later(run, queue.SimpleQueue), places=("call_later",))
def simple_queue_get(run: Run) -> None:
    began = run.begin()
    run.given.get()  # BLOCK
    run.end(began, now())


def _sleeping_future(run: Run) -> concurrent.futures.Future[None]:
    return run.data.submit(time.sleep, run.seconds)


@case("lock", make=_pool, prepare=_sleeping_future)
def future_result(run: Run) -> None:
    began = run.begin()
    run.given.result()  # BLOCK
    run.end(began, now())


@case("lock", make=_pool, prepare=_sleeping_future, places=("handler",))
def futures_wait(run: Run) -> None:
    began = run.begin()
    concurrent.futures.wait([run.given])  # BLOCK
    run.end(began, now())


@case("lock", make=_pool, prepare=_sleeping_future, places=("handler",))
def as_completed(run: Run) -> None:
    began = run.begin()
    for future in concurrent.futures.as_completed([run.given]):  # BLOCK
        run.kept = future
    run.end(began, now())


def _hash_for(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 20_000)


def _count_for(seconds: float) -> int:
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        rounds += 1
    return rounds


# In the next two, another thread burns CPU while the loop waits for its result. The loop's thread is not ready to run,
# so this is waiting for a thread, whatever that thread does with the GIL.


@case("lock", make=_pool, prepare=lambda run: run.data.submit(_hash_for, run.seconds))
def result_of_a_hashing_thread(run: Run) -> None:
    began = run.begin()
    run.given.result()  # BLOCK
    run.end(began, now())


@case("lock", make=_pool, prepare=lambda run: run.data.submit(_count_for, run.seconds), places=("handler",))
def result_of_a_counting_thread(run: Run) -> None:
    began = run.begin()
    run.given.result()  # BLOCK
    run.end(began, now())


def _sleeping_thread(run: Run) -> threading.Thread:
    thread = threading.Thread(target=time.sleep, args=(run.seconds,))
    thread.start()
    return thread


@case("lock", prepare=_sleeping_thread)
def thread_join(run: Run) -> None:
    began = run.begin()
    run.given.join()  # BLOCK
    run.end(began, now())


def _busy_pool(run: Run) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(1)
    pool.submit(time.sleep, run.seconds)
    return pool


@case("lock", prepare=_busy_pool, places=("handler",))
def executor_shutdown(run: Run) -> None:
    began = run.begin()
    run.given.shutdown(wait=True)  # BLOCK
    run.end(began, now())


def _second_loop(setup: Setup) -> asyncio.AbstractEventLoop:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    setup.closing.callback(thread.join)
    setup.closing.callback(loop.call_soon_threadsafe, loop.stop)
    return loop


@case("lock", make=_second_loop)
def result_from_another_loop(run: Run) -> None:
    """A sync bridge: it asks a loop in another thread and waits."""
    began = run.begin()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(run.seconds), run.data).result()  # BLOCK
    run.end(began, now())
