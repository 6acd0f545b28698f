"""The watched process's end of the sentinel, without the other one."""

import os
import threading

import pytest
from facts import LOOP

from loopwatch.sentinel.page import Page, Reader
from loopwatch.sentinel.process import Sentinel

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the sentinel is for Linux")

MS = 1_000_000


@pytest.fixture
def asked():
    """What the delivery thread was asked to do or say."""
    return []


@pytest.fixture
def sentinel(asked):
    sentinel = Sentinel(asked.append)
    yield sentinel
    sentinel.abandon()


@pytest.fixture
def reader(sentinel):
    """The other process's view of its page."""
    sentinel._page = Page()
    return Reader(sentinel._page.fd)


def stamp(sentinel, due_ns, since_ns=0, turns=None):
    sentinel.stamp(due_ns, [(LOOP, since_ns)] if turns is None else turns, 100 * MS, 1000 * MS, 44)


def test_begins_once(sentinel, asked):
    """However many loops start, one process is started, and not on their threads."""
    sentinel.begin()
    sentinel.begin()

    assert asked == [sentinel._start]


def test_off(sentinel, asked):
    """Until it is there, stamping, fetching and ending do nothing."""
    stamp(sentinel, 5)
    sentinel.end()
    sentinel.stop()

    assert (sentinel.dumps(), asked) == ((), [])


def test_stamp(sentinel, reader):
    """A look is stamped with the next one's time, who watches, and the oldest turn under way."""
    stamp(sentinel, 1 << 62, since_ns=33)

    looked, *rest = reader.stamp()
    assert looked > 0
    assert rest == [1 << 62, LOOP.native_id, 33, 44]
    assert reader.limits()[:3] == (threading.get_native_id(), 100 * MS, 1000 * MS)
    assert reader.loops() == [(LOOP.native_id, LOOP.backend, LOOP.thread)]


def test_no_loops(sentinel, reader):
    """Without a loop the watchdog is expected at no time."""
    stamp(sentinel, 1 << 62)
    stamp(sentinel, 1 << 62, turns=[])

    assert reader.stamp()[1:4] == (0, 0, 0)
    assert reader.loops() == []


def test_late_look(sentinel, reader, asked):
    """After a look that came late the line is emptied, so that it never fills up."""
    stamp(sentinel, 1 << 62)
    assert asked == []

    stamp(sentinel, 1)  # the next look is long overdue
    stamp(sentinel, 1 << 62)

    assert asked == [sentinel._receive]


def test_closed_meanwhile(sentinel, reader):
    """A page that is closed under the watchdog's hands does it no harm."""
    page = sentinel._page
    sentinel.abandon()
    sentinel._page = page

    stamp(sentinel, 5)

    assert reader.stamp()[1] == 5
    sentinel._page = None


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"kind": "refused"}, "may not read this process"),
        ({"kind": "failed", "text": "Error: Permission denied (os error 13)"}, "may not read this process"),
        ({"kind": "failed", "text": "Error: Failed to find a python interpreter"}, "py-spy failed: Error: Failed"),
        ({"kind": "crashed", "text": "OSError(28)"}, "the sentinel failed: OSError(28)"),
    ],
)
def test_trouble(sentinel, asked, message, words):
    """Trouble is said once."""
    sentinel._heard(message)
    sentinel._heard(message)

    assert len(asked) == 1
    assert words in asked[0]
    assert asked[0].startswith("loopwatch: ")
