"""The line is right in every place from which Python code is called."""

import asyncio
import contextlib
import functools
import time

from loopwatch.records import Cause

from .blame import assert_blames


def test_coroutine(stall_of):
    """A block in the coroutine that the loop runs is blamed on its line, expression and call."""

    async def main():
        await asyncio.sleep(0)
        time.sleep(0.2)  # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, expression="time.sleep(0.2)", call="time.sleep", cause=Cause.SLEEP)
    assert stall.origin.function.endswith("test_coroutine.<locals>.main")
    assert stall.origin.exact


def test_sync_code_called_from_a_coroutine(stall_of):
    """The innermost function of the user's is blamed, not the coroutine that called it."""

    def load():
        time.sleep(0.2)  # BLOCK

    def prepare():
        load()

    async def main():
        prepare()

    stall = stall_of(main)

    assert_blames(stall, load, expression="time.sleep(0.2)", call="time.sleep", cause=Cause.SLEEP)


def test_python_code(stall_of):
    """A line that computes is blamed as Python code."""

    async def main():
        until = time.perf_counter() + 0.2
        while time.perf_counter() < until: pass  # noqa: E701 # BLOCK

    assert_blames(stall_of(main), main, cause=Cause.PYTHON)


def test_lambda(stall_of):
    """A lambda's own line is blamed."""
    nap = lambda: time.sleep(0.2)  # noqa: E731 # BLOCK

    async def main():
        nap()

    stall = stall_of(main)

    assert_blames(stall, test_lambda, expression="time.sleep(0.2)", call="time.sleep")
    assert stall.origin.function.endswith("<lambda>")


def test_comprehension(stall_of):
    """A comprehension's line is blamed, whether Python inlines it (3.12) or calls it (3.11)."""

    async def main():
        return [time.sleep(0.02) for _ in range(10)]  # BLOCK

    assert_blames(stall_of(main), main, expression="time.sleep(0.02)", call="time.sleep")


def test_generator_expression(stall_of):
    """A generator expression that a C function drives is blamed."""

    async def main():
        return sum(time.sleep(0.02) or 1 for _ in range(10))  # BLOCK

    assert_blames(stall_of(main), main, expression="time.sleep(0.02)", call="time.sleep")


def test_property(stall_of):
    """The body of a property is blamed, not the line that reads the attribute."""

    class Account:
        @property
        def balance(self):
            time.sleep(0.2)  # BLOCK
            return 1

    async def main():
        return Account().balance

    stall = stall_of(main)

    assert_blames(stall, Account, call="time.sleep")
    assert stall.origin.function.endswith("Account.balance")


def test_decorated_function(stall_of):
    """Under decorators, the user's and the library's, the decorated function's line is blamed."""

    def traced(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    @traced
    @functools.cache
    def load(key):
        time.sleep(0.2)  # BLOCK
        return key

    async def main():
        load(1)

    assert_blames(stall_of(main), load, expression="time.sleep(0.2)", call="time.sleep")


def test_decorator_itself(stall_of):
    """A decorator that blocks is blamed, not the function that it wraps."""

    def throttled(function):
        async def wrapper():
            time.sleep(0.2)  # BLOCK
            return await function()

        return wrapper

    @throttled
    async def main():
        await asyncio.sleep(0)

    assert_blames(stall_of(main), throttled, call="time.sleep")


def test_key_function_of_a_sort(stall_of):
    """A function of the user's that C code calls back is blamed."""

    def rank(item):
        time.sleep(0.02)  # BLOCK
        return item

    async def main():
        sorted(range(10), key=rank)

    assert_blames(stall_of(main), rank, expression="time.sleep(0.02)", call="time.sleep")


def test_context_manager(stall_of):
    """`__exit__` of a context manager is blamed, not the with statement."""

    class Connection:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            time.sleep(0.2)  # BLOCK

    async def main():
        with Connection():
            await asyncio.sleep(0)

    stall = stall_of(main)

    assert_blames(stall, Connection, call="time.sleep")
    assert stall.origin.function.endswith("Connection.__exit__")


def test_async_context_manager(stall_of):
    """A generator under `contextlib.asynccontextmanager` is blamed through the library's frames."""

    @contextlib.asynccontextmanager
    async def session():
        time.sleep(0.2)  # BLOCK
        yield

    async def main():
        async with session():
            await asyncio.sleep(0)

    assert_blames(stall_of(main), session, expression="time.sleep(0.2)", call="time.sleep")


def test_async_generator(stall_of):
    """An async generator's line is blamed, not the loop that consumes it."""

    async def rows():
        for row in range(3):
            await asyncio.sleep(0)
            if row == 1:
                time.sleep(0.2)  # BLOCK
            yield row

    async def main():
        return [row async for row in rows()]

    assert_blames(stall_of(main), rows, expression="time.sleep(0.2)", call="time.sleep")


def test_class_construction(stall_of):
    """`__init__` is blamed, though C code stands between it and its caller."""

    class Client:
        def __init__(self):
            time.sleep(0.2)  # BLOCK

    async def main():
        list(map(lambda _: Client(), [1]))

    assert_blames(stall_of(main), Client, call="time.sleep")
