"""The page that watchdog and sentinel share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import loopwatch
from loopwatch.sentinel.page import MAX_LOOPS, Page, Reader

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the sentinel is for Linux")


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.close()


def test_stamp(page):
    """What the watchdog stamps last is what the sentinel reads."""
    page.stamp((1, 2, 3, 4, 5))
    page.stamp((6, 7, 8, 9, 10))

    assert Reader(page.fd).stamp() == (6, 7, 8, 9, 10)


def test_unwritten(page):
    """A page on which nothing was stamped yet expects no look and names no loop."""
    reader = Reader(page.fd)

    assert (reader.stamp(), reader.limits(), reader.loops()) == ((0, 0, 0, 0, 0), (0, 0, 0, 0), [])


def test_description(page):
    """Limits and loops arrive as they were written; names that are too long are cut."""
    page.describe((9, 100, 1000, 5), [(7, "asyncio", "MainThread"), (8, "uvloop", "käse" * 50)])

    reader = Reader(page.fd)
    (first, second) = reader.loops()
    assert reader.limits() == (9, 100, 1000, 5)
    assert first == (7, "asyncio", "MainThread")
    assert second[:2] == (8, "uvloop")
    assert second[2].startswith("käsekäse")


def test_too_many_loops(page):
    """More loops than the page has room for: the first ones are listed."""
    page.describe((9, 100, 1000, 5), [(number, "asyncio", "") for number in range(100)])

    assert [thread for thread, _, _ in Reader(page.fd).loops()] == list(range(MAX_LOOPS))


def test_light():
    """What runs in the sentinel's process imports none of the modules that would make it big."""
    heavy = {"asyncio", "dataclasses", "typing", "logging", "pathlib", "inspect", "socket", "ctypes", "subprocess"}
    root = str(Path(loopwatch.__file__).parent.parent)
    program = f"import sys; sys.path.append({root!r}); import loopwatch.sentinel.child; print(*sys.modules)"

    output = subprocess.check_output([sys.executable, "-I", "-S", "-c", program], text=True)

    assert heavy & set(output.split()) == set()
