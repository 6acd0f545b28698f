"""C code that keeps the GIL keeps the watchdog out; the line is right all the same, or says that it is inferred."""

import gc
import json
import random
import re
import time

import pytest

from loopwatch.records import Cause

from .blame import assert_blames, describe, marked


def helper(number):
    """What runs right after the C code, and must not be blamed for it."""
    return number + 1


def million():
    """A list whose sorting and dumping takes some hundred milliseconds."""
    numbers = random.Random(1)
    return [numbers.random() for _ in range(1_000_000)]


def test_sorted(stall_of):
    """`sorted` of a long list is blamed, not the function that is called after it."""
    numbers = million()

    async def main():
        sorted(numbers)  # BLOCK
        helper(3)

    stall = stall_of(main)

    assert_blames(stall, main, expression="sorted(numbers)", cause=Cause.NATIVE)
    assert stall.origin.call.split(".")[-1] == "sorted"
    assert stall.origin.exact


def test_json(stall_of):
    """`json.dumps` is blamed on the line that calls it, though its time passes in C beneath Python frames."""
    numbers = million()[:300_000]

    async def main():
        text = json.dumps(numbers)  # BLOCK
        helper(len(text))

    assert_blames(
        stall_of(main), main, expression="json.dumps(numbers)", call="json.dumps", cause=Cause.NATIVE
    )


def test_regular_expression(stall_of):
    """A pattern that backtracks without end is blamed on the line that matches."""
    text = "a" * 22 + "b"
    re.compile(r"(a+)+$")

    async def main():
        re.match(r"(a+)+$", text)  # BLOCK
        helper(3)

    assert_blames(stall_of(main), main, call="re.match", cause=Cause.NATIVE)


def test_method_of_a_builtin(stall_of):
    """A method in C is blamed as the piece of the line that calls it."""
    numbers = million()

    async def main():
        helper(1)
        numbers.sort()  # BLOCK
        helper(2)

    assert_blames(stall_of(main), main, expression="numbers.sort()", cause=Cause.NATIVE)


def test_user_function_around_native_code(stall_of):
    """The user's innermost function is blamed where the C code is called deep down."""
    numbers = million()

    def median():
        return sorted(numbers)[len(numbers) // 2]  # BLOCK

    async def main():
        helper(int(median()))

    stall = stall_of(main)

    assert_blames(stall, median, cause=Cause.NATIVE)
    assert "sorted(numbers)" in stall.origin.expression


def test_operator(stall_of):
    """After an operator that kept the GIL, the line is right or is one of the stated candidates."""
    exponent = 1_300_000

    async def main():
        power = 7**exponent  # BLOCK
        helper(3)
        return power

    stall = stall_of(main)
    line = marked(main)[1]

    assert stall.cause in (Cause.NATIVE, Cause.PYTHON), describe(stall)
    assert stall.origin.file == marked(main)[0], describe(stall)
    assert stall.origin.line == line or (not stall.origin.exact and line in stall.origin.candidates), describe(stall)


def test_membership_operator(stall_of):
    """The same after a search through a list, whose instruction looks for no pending switch."""
    numbers = list(range(1, 2_000_000)) * 10

    async def main():
        found = -1 in numbers  # BLOCK
        helper(1)
        helper(2)
        return found

    stall = stall_of(main)
    line = marked(main)[1]

    assert stall.origin.line == line or (not stall.origin.exact and line in stall.origin.candidates), describe(stall)


def test_collection(stall_of):
    """A garbage collection is the collector's, even when it strikes in an innocent line."""
    heap = [[number] for number in range(3_000_000)]

    async def main():
        gc.collect()

    stall = stall_of(main)

    assert stall.cause is Cause.GC, describe(stall)
    assert stall.own_ms < 0.3 * stall.duration_ms
    assert len(heap) == 3_000_000


def test_native_code_that_releases_the_gil(stall_of):
    """C code that runs without the GIL is native as well: seen by its CPU time, not by the watchdog's absence."""
    hashlib = pytest.importorskip("hashlib")
    data = bytes(200_000_000)

    async def main():
        hashlib.sha256(data)  # BLOCK

    began = time.perf_counter()
    hashlib.sha256(data[:20_000_000])
    if time.perf_counter() - began < 0.011:
        data *= 3  # a CPU with instructions for SHA-256 is faster
    assert_blames(stall_of(main), main, expression="hashlib.sha256(data)", cause=Cause.NATIVE)
