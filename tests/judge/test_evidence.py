"""The sentence of a verdict: figures that a reader can check."""

from dataclasses import replace

import pytest
from facts import LOOP, call, frame, hold, library, observation, sample, samples, vitals

from loopwatch.judge.cause import verdict_of
from loopwatch.judge.evidence import protocol_of
from loopwatch.observations import Syscall
from loopwatch.records import Cause, RequestInfo

ENCODER = library("json.encoder.iterencode", kind="stdlib")


def evidence(*seen, **fields):
    """Why a stall with these samples was judged as it was."""
    return verdict_of(observation(*seen, **fields)).evidence


def test_computing():
    """For code that computes: the CPU's share of the time, and the function that most samples found."""
    words = evidence(
        *samples(frame(), ENCODER, cpu=0.97, late_ms=5), sample(400, frame("other"), cpu_ms=388, late_ms=5)
    )

    assert "on the CPU for" in words and "of 400 ms" in words
    assert "8 of them in json.encoder.iterencode" in words


def test_network():
    """For a wait on a socket: the system call, the peer's address, and the protocol if the port is a well-known one."""
    waits = samples(frame(), cpu=0.0, syscall=Syscall("recvfrom", "socket", "10.0.0.5:5432"))

    assert "recvfrom on 10.0.0.5:5432 (PostgreSQL)" in evidence(*waits)


@pytest.mark.parametrize(
    ("about", "protocol"),
    [
        ("10.0.0.5:6379", "Redis"),
        ("[::1]:443", "HTTPS"),
        ("10.0.0.5:4711", None),
        ("/run/app.sock", None),
        (None, None),
    ],
)
def test_protocol(about, protocol):
    """A protocol is named only for a port that says so."""
    assert protocol_of(observation(*samples(syscall=Syscall("recvfrom", "socket", about)))) == protocol
    assert protocol_of(observation(*samples(syscall=Syscall("read", "file", about)))) is None


def test_disk():
    """For a wait on a file: its path, and how often memory had to be read from a disk."""
    waits = samples(frame(), cpu=0.0, syscall=Syscall("fsync", "file", "/data/shop.db"))

    words = evidence(*waits, vitals=vitals(cpu_ms=1, runqueue_ms=0, other_cpu_ms=0, major_faults=3))

    assert "fsync on /data/shop.db" in words
    assert "3 page faults had to read from a disk" in words


def test_page_faults():
    """A thread that waits for the disk outside of any system call touches memory that is not there."""
    asleep = samples(frame(), cpu=0.0, syscall=call("fault"), state="D")

    assert verdict_of(observation(*asleep)).cause is Cause.DISK
    assert verdict_of(observation(*samples(frame(), cpu=0.0, syscall=call("fault"), state="S"))).cause is Cause.UNKNOWN


def test_lock():
    """For a wait on a thread: its name, and where it stood."""
    waits = samples(frame(), library("threading.Thread.join", kind="stdlib"), cpu=0.0, syscall=call("futex"))

    words = evidence(*waits, holds=(hold(200, 0, "reports", frame("render", 20), awaited=True),))

    assert "it waited for thread 'reports', which was in render (/srv/shop.py:20)" in words


def test_lock_of_another_loop():
    """For a wait on a thread that waits in turn: for whom, and whether that is this loop; and for whose request it works."""
    waits = samples(frame(), library("threading.Thread.join", kind="stdlib"), cpu=0.0, syscall=call("futex"))
    works = replace(hold(200, 0, "worker", awaited=True), request=RequestInfo("GET", "/reports", "report"))
    others = (("other", 5), ("main", LOOP.native_id))

    words = [evidence(*waits, holds=(replace(works, waits_for=one),)) for one in others]

    assert "it waited for thread 'worker' (at work for GET /reports)" in words[0]
    assert words[0].endswith(" and itself waits for thread 'other'")
    assert words[1].endswith(" and itself waits for this loop: neither can go on")


def test_starved():
    """For a wait for a core: how much of it was the control group's limit, and the machine's own word."""
    ready = samples(frame(), cpu=0.04, runqueue=0.95)

    words = evidence(*ready, vitals=vitals(cpu_ms=16, runqueue_ms=380, throttled_ns=250_000_000, cpu_pressure=43.2))

    assert "250 ms of it by the control group's CPU limit" in words
    assert "in 43 % of the last 10 s" in words
    assert "limit" not in evidence(*ready, vitals=vitals(cpu_ms=16, runqueue_ms=380))
