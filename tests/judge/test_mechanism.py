"""What the loop thread did while a sample's time went by: computing in Python or C, or waiting, and for what."""

import pytest
from facts import call, frame, library, observation, samples, vitals

from loopwatch.judge.cause import verdict_of
from loopwatch.records import Cause

HANDLER = frame("handler", 10)
IN_C = frame("handler", 10, point="call")


def stdlib(dotted, **fields):
    """A frame of the standard library."""
    return library(dotted, kind="stdlib", **fields)


def blocked(*inner, where=None, **fields):
    """A handler that computes nothing while it stands in these frames and in this system call."""
    return observation(
        *samples(HANDLER, *inner, cpu=0.0, syscall=where, **fields), vitals=vitals(cpu_ms=0, other_cpu_ms=0)
    )


# ── waiting: by system call ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "target", "cause"),
    [
        ("clock_nanosleep", None, Cause.SLEEP),
        ("recvfrom", "socket", Cause.NETWORK),
        ("connect", "socket", Cause.NETWORK),
        ("poll", "socket", Cause.NETWORK),
        ("read", "socket", Cause.NETWORK),
        ("read", "file", Cause.DISK),
        ("read", "pipe", Cause.DISK),
        ("fsync", "file", Cause.DISK),
        ("openat", None, Cause.DISK),
        ("futex", None, Cause.LOCK),
        ("flock", "file", Cause.LOCK),
        ("wait4", None, Cause.SUBPROCESS),
        ("waitid", None, Cause.SUBPROCESS),
    ],
)
def test_by_system_call(name, target, cause):
    """The system call, and what its descriptor is, tell what the thread waited for, whatever the frames are called."""
    verdict = verdict_of(blocked(library("drivers.execute", point="call"), where=call(name, target)))

    assert verdict.cause == cause, verdict.evidence
    assert name in verdict.evidence
    assert verdict.confidence > 0.9


def test_futex_between_instructions():
    """A futex in which no call waits is the GIL's own: it says nothing of a lock."""
    assert verdict_of(blocked(frame(point="jump"), where=call("futex"))).cause is Cause.UNKNOWN


def test_child_by_frames():
    """A pipe of a child is no file: the frames say that the thread waits for the child."""
    inner = stdlib("subprocess.Popen.communicate", file="/usr/lib/python3/subprocess.py")

    assert verdict_of(blocked(inner, where=call("poll", "pipe"))).cause is Cause.SUBPROCESS


def test_locked_database():
    """sqlite waits for a locked database by sleeping: that is a lock."""
    at_call = frame("handler", 10, point="call", call="sqlite3.Connection.execute")

    assert verdict_of(observation(*samples(at_call, cpu=0.0, syscall=call("clock_nanosleep")))).cause is Cause.LOCK


def test_select_without_descriptor():
    """A `select` with no descriptor at all is a sleep."""
    assert verdict_of(blocked(where=call("select"))).cause is Cause.SLEEP


# ── waiting: by frames ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("called", "cause"),
    [
        ("time.sleep", Cause.SLEEP),
        ("socket.socket.recv", Cause.NETWORK),
        ("ssl.SSLSocket.read", Cause.NETWORK),
        ("subprocess.run", Cause.SUBPROCESS),
        ("os.system", Cause.SUBPROCESS),
        ("threading.Lock.acquire", Cause.LOCK),
        ("queue.Queue.get", Cause.LOCK),
        ("open", Cause.DISK),
        ("pathlib.Path.read_text", Cause.DISK),
        ("os.fsync", Cause.DISK),
    ],
)
def test_by_name(called, cause):
    """Without a system call to read, the name of the call tells."""
    verdict = verdict_of(observation(*samples(frame(point="call", call=called), cpu=0.0)))

    assert verdict.cause == cause, verdict.evidence


def test_by_library_frames():
    """A library's frames tell as well as a call's name does."""
    assert (
        verdict_of(blocked(library("requests.sessions.Session.send"), stdlib("socket.SocketIO.readinto"))).cause
        is Cause.NETWORK
    )


def test_own_names_tell_nothing():
    """A user's function of a known name, in a module of a known name, is no evidence."""
    own = frame("sleep", 3, module="time", file="/srv/time.py")

    assert verdict_of(observation(*samples(own, cpu=0.0))).cause is Cause.UNKNOWN


# ── computing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_native_without_the_gil():
    """On the CPU in a call into C while the watchdog gets in at once: C code that gave the GIL up."""
    assert verdict_of(observation(*samples(IN_C, cpu=1.0, late_ms=0.1))).cause is Cause.NATIVE


def test_python_calls():
    """A call that is seen only after a switch interval is Python code that calls: C code would have answered at once, or late."""
    assert verdict_of(observation(*samples(IN_C, cpu=1.0, late_ms=5))).cause is Cause.PYTHON


def test_c_code_without_a_sample():
    """Without any sample the CPU clock and the watchdog's lateness tell that C code kept the GIL."""
    verdict = verdict_of(observation(vitals=vitals(cpu_ms=390, other_cpu_ms=0, late_ms=380)))

    assert verdict.cause is Cause.NATIVE
    assert "no sample" in verdict.evidence


def test_python_beside_a_hog():
    """A thread that ran for most of its time was not kept from running, whatever others burned meanwhile."""
    seen = samples(frame(point="jump"), cpu=0.6, others=1.0, late_ms=10)

    assert verdict_of(observation(*seen)).cause is Cause.PYTHON
