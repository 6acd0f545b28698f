"""What all sinks that send messages have in common, with a sender that does as it is told; no network."""

import queue
import threading
import time

import pytest
from facts import closed, incident, ongoing, stall

from loopwatch.errors import SettingError
from loopwatch.sinks.messenger import END_S, Messenger, Patience, Reply

from .saying import said

PATIENCE_S = 20.0
AT_ONCE = Patience(pause_s=0.0)
FAILED = Reply(delivered=False, why="receiver answered 500")
REFUSED = Reply(delivered=False, why="receiver answered 400", again=False)
SENT = Reply(delivered=True)


class Sink(Messenger):
    """Answers each attempt with the next of `replies`, then with success; while held, with nothing."""

    def __init__(self, *replies, at_least="info", patience=AT_ONCE):
        self.replies = iter(replies)
        self.attempts = queue.Queue()
        self.free = threading.Event()
        self.free.set()
        super().__init__("receiver", at_least, patience)

    def send(self, incident, lost):
        self.attempts.put((incident, lost))
        self.free.wait(PATIENCE_S)
        reply = next(self.replies, SENT)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def tried(self):
        """What was tried so far: ids, and what was told to be lost."""
        return [(one.id, lost) for one, lost in self.attempts.queue]


@pytest.fixture
def begun(begun):
    """Lets go of what is held before sinks are ended."""
    sinks = []

    def begin(sink):
        sinks.append(sink)
        return begun(sink)

    yield begin
    for sink in sinks:
        sink.free.set()


def held(sink):
    """The sink, with one message in hand that it does not get rid of."""
    sink.free.clear()
    sink.incident(news("in hand"))
    sink.attempts.get(timeout=PATIENCE_S)
    return sink


def news(name, record=incident, **fields):
    """News of an incident of its own."""
    return record(stall(fingerprint=name), id=name, **fields)


# ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sent(begun):
    """News is sent at once, in order, on a thread of the sink's own."""
    sink = begun(Sink())
    for name in "abc":
        sink.incident(news(name))

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("a", 0), ("b", 0), ("c", 0)]


def test_stalls_are_not_sent(begun):
    """Stalls one by one are nobody's message."""
    sink = begun(Sink())
    sink(stall())
    sink(ongoing())

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == []


def test_severity(begun):
    """Incidents that never became severe enough are left out, from their opening to their end."""
    sink = begun(Sink(at_least="error"))
    for one in (news("minor"), news("minor", closed), news("major", severity=stall(2000).severity)):
        sink.incident(one)

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("major", 0)]


def test_unknown_severity():
    """A severity that there is not is refused with those that there are."""
    with pytest.raises(SettingError, match="'loud'; give one of: info, warning, error, critical"):
        Sink(at_least="loud")


def test_newest_state(begun):
    """What waits is replaced by newer news of the same incident, and keeps its place."""
    sink = held(begun(Sink()))
    for one in (news("a", news="opened"), news("b"), news("a", news="worse"), news("a", closed)):
        sink.incident(one)
    sink.free.set()

    assert sink.delivered(PATIENCE_S)
    assert [(one.id, one.news) for one, _ in sink.attempts.queue] == [("a", "closed"), ("b", "opened")]


# ── trying again ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tries_again(begun, caplog):
    """A failure is tried again until it succeeds; the log says that it failed and that it is over, once each."""
    sink = begun(Sink(FAILED, FAILED, FAILED))
    sink.incident(news("a"))

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("a", 0)] * 4
    assert said(caplog) == [
        "loopwatch: Sink (receiver) cannot deliver: receiver answered 500",
        "loopwatch: Sink (receiver) delivers again",
    ]


def test_one_does_not_keep_the_others(begun):
    """A message that fails lets the others go first."""
    sink = held(begun(Sink(FAILED)))
    sink.incident(news("other"))
    sink.free.set()

    assert sink.delivered(PATIENCE_S)
    assert [name for name, _ in sink.tried()] == ["other", "in hand"]


def test_outdated_attempt(begun):
    """A message that fails is not tried again where there is newer news of its incident."""
    sink = held(begun(Sink(FAILED)))
    sink.incident(news("in hand", closed))
    sink.free.set()

    assert sink.delivered(PATIENCE_S)
    assert [one.news for one, _ in sink.attempts.queue] == ["closed"]


def test_too_many_tries(begun, caplog):
    """After so many attempts a message is given up; the next one and the log say how many were."""
    sink = begun(Sink(*[FAILED] * 3, patience=Patience(pause_s=0, tries=3)))
    sink.incident(news("lost"))
    assert sink.delivered(PATIENCE_S)
    for name in "ab":
        sink.incident(news(name))

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("lost", 0)] * 3 + [("a", 1), ("b", 0)]
    assert "loopwatch: Sink (receiver) has lost 1 so far: receiver answered 500" in said(caplog)


def test_too_old(begun):
    """A message is given up when it is too old, however few attempts were made."""
    sink = begun(Sink(FAILED, patience=Patience(pause_s=0, give_up_s=0)))
    sink.incident(news("old"))
    assert sink.delivered(PATIENCE_S)
    sink.incident(news("next"))

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("old", 0), ("next", 1)]


@pytest.mark.parametrize("reply", [REFUSED, ValueError("SECRET")])
def test_hopeless(begun, caplog, reply):
    """What will never be taken is not tried again; what an exception says stays out of the log."""
    sink = begun(Sink(reply))
    sink.incident(news("a"))

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("a", 0)]
    assert len(said(caplog)) == 2
    assert "SECRET" not in caplog.text


def test_pauses(begun, monkeypatch):
    """Pauses are drawn from between nothing and a bound that doubles up to a limit; success starts anew."""
    bounds = []
    monkeypatch.setattr("random.uniform", lambda low, high: bounds.append((low, high)) or 0.0)
    sink = begun(Sink(*[FAILED] * 5, SENT, FAILED, patience=Patience(pause_s=1, longest_pause_s=5)))
    for name in "ab":
        sink.incident(news(name))
        assert sink.delivered(PATIENCE_S)

    assert bounds == [(0, 1), (0, 2), (0, 4), (0, 5), (0, 5), (0, 1)]


def test_receiver_asks_for_silence(begun):
    """While the receiver wants to be left alone nothing is sent, of whatever incident."""
    sink = begun(Sink(Reply(delivered=False, why="receiver answered 429", after_s=0.3)))
    began = time.monotonic()
    for name in "ab":
        sink.incident(news(name))

    assert sink.attempts.get(timeout=PATIENCE_S)
    sink.attempts.get(timeout=PATIENCE_S)
    assert time.monotonic() - began >= 0.3


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bounded_queue(begun, caplog):
    """However many incidents there are, so many messages wait; news that an incident is over is kept longest."""
    sink = held(begun(Sink(patience=Patience(waiting=3))))
    for one in (news("over", closed), news("a"), news("b"), news("c"), news("d")):
        sink.incident(one)
    sink.free.set()

    assert sink.delivered(PATIENCE_S)
    assert sink.tried() == [("over", 2), ("c", 0), ("d", 0)]
    assert "has lost 2 so far: more than 3 messages wait" in said(caplog)[-2]


def test_only_ends_wait(begun):
    """Where all that waits says that something is over, the oldest makes room."""
    sink = held(begun(Sink(patience=Patience(waiting=2))))
    for name in "abc":
        sink.incident(news(name, closed))
    sink.free.set()

    assert sink.delivered(PATIENCE_S)
    assert [name for name, _ in sink.tried()] == ["b", "c"]


def test_patience_ends(begun):
    """Waiting for delivery ends when it was told to, and says that it is not done."""
    sink = held(begun(Sink()))

    assert not sink.delivered(0.05)


def test_end_sends_what_waits(begun):
    """What waits in the end is still sent."""
    sink = held(begun(Sink()))
    sink.incident(news("a", closed))
    sink.free.set()
    sink.end()

    assert sink.tried() == [("a", 0)]
    assert not sink._thread.is_alive()


def test_end_is_bounded(begun, caplog):
    """A receiver that hangs delays the end by no more than its bound; what was not delivered is counted and said."""
    sink = held(begun(Sink()))
    for name in "ab":
        sink.incident(news(name))
    began = time.monotonic()
    sink.end()

    assert time.monotonic() - began < END_S + 5  # the rest is a busy machine's
    assert said(caplog)[-1] == "loopwatch: Sink (receiver) has lost 3 so far: the watch or the process has ended"


@pytest.mark.parametrize("reply", [FAILED, REFUSED])
def test_end_does_not_try_again(begun, caplog, reply):
    """In the end there is no second attempt, and each message that is lost is counted once."""
    sink = held(begun(Sink(*[reply] * 9, patience=Patience(pause_s=1000))))
    sink.incident(news("a"))
    threading.Timer(0.05, sink.free.set).start()
    sink.end()

    assert said(caplog)[-1] == "loopwatch: Sink (receiver) has lost 2 so far: the watch or the process has ended"


def test_begins_anew(begun):
    """A fork's child begins with nothing of what its parent had to send."""
    sink = held(begun(Sink()))
    sink.incident(news("the parent's"))
    sink.free.set()
    sink.end()
    begun(sink).incident(news("the child's"))

    assert sink.delivered(PATIENCE_S)
    assert sink.tried()[-1] == ("the child's", 0)
