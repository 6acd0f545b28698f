"""What all sinks have in common that send messages to people: incidents go in, and what gets through is sent by a thread.

The newest state of an incident takes the place of the one that still waits, so a receiver that is down costs a bounded number of
messages and is not flooded when it is back. Of a message it is known at the earliest when the receiver has answered that it was
taken: it may arrive twice.
"""

import random
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass

from loopwatch.clocks import time
from loopwatch.errors import SettingError
from loopwatch.records import Incident, Severity, Stall
from loopwatch.sinks import Source
from loopwatch.sinks.trouble import Trouble

__all__ = ["Messenger", "Patience", "Reply"]

END_S = 0.9
"""How long `end` waits for what is under way. Whoever ends a sink waits for a second."""
LONGEST_BAN_S = 3600.0
"""A receiver may ask for so much silence at most: beyond, it was a mistake."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a sink tries, and how much it keeps meanwhile. Times are seconds."""

    timeout_s: float = 5.0
    """For one attempt, all in all, once the receiver's name is resolved; for each of its addresses, if it has several."""
    tries: int = 10
    """Attempts at one message."""
    give_up_s: float = 900.0
    """A message whose attempt fails when it is older than this is given up."""
    pause_s: float = 1.0
    """The pause after a failure is drawn from between 0 and this (full jitter), doubled with every further failure in a row."""
    longest_pause_s: float = 60.0
    waiting: int = 100
    """Messages that wait at most, one for each incident."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How an attempt went."""

    delivered: bool
    why: str = ""
    """Why it was not, without a secret."""
    again: bool = True
    """Whether another attempt may do."""
    after_s: float = 0.0
    """The receiver does not want to hear of us before."""


@dataclass(slots=True)
class _Letter:
    incident: Incident
    since_s: float
    tries: int = 0


class Messenger(ABC):
    """A sink that sends incidents: one record when it opens, becomes worse, goes on, or closes. Subclasses say how.

    Args:
        to: Where messages go, for the log; without a secret.
        at_least: Incidents that never become this severe are not sent.
        patience: Bounds.

    Raises:
        SettingError: there is no such severity.
    """

    def __init__(self, to: str, at_least: str, patience: Patience | None) -> None:
        if at_least not in list(Severity):
            raise SettingError(f"invalid at_least {at_least!r}; give one of: {', '.join(Severity)}")
        self.patience = patience or Patience()
        self._to = to
        self._at_least = Severity(at_least)
        self._fresh()

    def _fresh(self) -> None:
        """What belongs to this process only."""
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, _Letter] = OrderedDict()
        """By fingerprint: what is sent of one is in order, whatever fails in between."""
        self._in_hand: _Letter | None = None
        self._ending = False
        self._failures = 0
        self._not_before_s = 0.0
        self._trouble = Trouble(f"{type(self).__qualname__} ({self._to})")
        self._thread: threading.Thread | None = None

    @abstractmethod
    def send(self, incident: Incident, lost: int) -> Reply:
        """Make one attempt; on the messenger's own thread. `lost`: how many messages before this one were given up."""

    # ── the sink's hooks ────────────────────────────────────────────────────────────────────────────────────────

    def __call__(self, stall: Stall) -> None:  # noqa: B027 - so be it for all of them
        """Nothing is sent: the first record of a stall, while it lasts or at its end, is news of its incident."""

    def begin(self, source: Source) -> None:
        """Start the thread that sends; anew in a fork's child, without what its parent had to send."""
        self._fresh()
        self._thread = threading.Thread(
            target=self._work, name=f"loopwatch-sink-{type(self).__qualname__}-sends", daemon=True
        )
        self._thread.start()

    def incident(self, incident: Incident) -> None:
        """Have it sent, in place of what waits of the same incident."""
        if incident.severity.rank < self._at_least.rank:
            return
        with self._changed:
            pushed_out = self._make_room(incident.fingerprint)
            self._waiting[incident.fingerprint] = _Letter(incident, time.monotonic())
            self._changed.notify_all()
        if pushed_out:
            self._trouble.loses(1, f"more than {self.patience.waiting} messages wait")

    def delivered(self, timeout_s: float) -> bool:
        """Wait until nothing waits to be sent; False if that takes longer. Called from any thread."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and self._in_hand is None, timeout_s)

    def end(self) -> None:
        """Send what can be sent at once, and give up the rest."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(END_S)
        with self._changed:
            left = len(self._waiting) + (self._in_hand is not None)
            self._waiting.clear()
        if left:
            self._trouble.loses(left, "the watch or the process has ended", at_last=True)

    # ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        while (letter := self._next()) is not None:
            lost = self._trouble.owed
            try:
                reply = self.send(letter.incident, lost)
            except Exception as error:  # noqa: BLE001 - one that cannot be written or sent must not keep the others
                reply = Reply(delivered=False, why=f"its `send` raised {type(error).__name__}", again=False)
            self._settle(letter, reply, lost)

    def _next(self) -> _Letter | None:
        """What is to be sent now; None when there is nothing more to do."""
        with self._changed:
            self._in_hand = None
            self._changed.notify_all()
            while True:
                pause_s = self._not_before_s - time.monotonic()
                if self._ending and (not self._waiting or pause_s > 0):
                    return None
                if self._waiting and pause_s <= 0:
                    self._in_hand = self._waiting.popitem(last=False)[1]
                    return self._in_hand
                self._changed.wait(pause_s if self._waiting else None)

    def _settle(self, letter: _Letter, reply: Reply, lost: int) -> None:
        if reply.delivered:
            self._failures = 0
            self._trouble.over(lost)
            return
        now = time.monotonic()
        self._not_before_s = now + max(min(reply.after_s, LONGEST_BAN_S), self._pause_s())
        self._failures += 1
        letter.tries += 1
        too_often = letter.tries >= self.patience.tries or now - letter.since_s > self.patience.give_up_s
        if (too_often or not reply.again) and not self._ending:  # what is left in the end is counted there
            self._trouble.loses(1, reply.why)
            return
        self._trouble.begins(reply.why)
        with self._changed:
            self._waiting.setdefault(letter.incident.fingerprint, letter)  # unless there is newer news of that incident

    def _pause_s(self) -> float:
        # Full jitter: many processes that lost the same receiver at the same moment do not come back at the same moment.
        longest_s = min(self.patience.longest_pause_s, self.patience.pause_s * 2.0 ** min(self._failures, 30))
        return random.uniform(0, longest_s)  # noqa: S311 - nobody gains by guessing it

    def _make_room(self, fingerprint: str) -> bool:
        """Push out one that waits, if there are too many: rather one that says "open", which may be said again, than "closed"."""
        if fingerprint in self._waiting or len(self._waiting) < self.patience.waiting:
            return False
        oldest = next(iter(self._waiting))
        still_open = (key for key, letter in self._waiting.items() if letter.incident.state != "closed")
        del self._waiting[next(still_open, oldest)]
        return True
