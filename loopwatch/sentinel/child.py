"""The sentinel's process. It looks at the page about as often as the watchdog stamps it, and at nothing else.

It is nobody's child: it forks once and its first half ends, so that a program that waits for its children never meets it.
It ends when its line to the watched process does: that one stopped it, ended, or became another program (exec). A copy of the
line in a fork's child would keep it open, so the end of the process itself counts as well (pidfd_open(2)). Not
PR_SET_PDEATHSIG: that fires when the *thread* ends which started it (prctl(2)).

Started by `loopwatch.sentinel.process`, with the page as descriptor 3 and the line as descriptor 4.
"""

import contextlib
import json
import os
import select
import time

from loopwatch.sentinel import kernel, spying
from loopwatch.sentinel.frozen import Situation, event_of
from loopwatch.sentinel.page import Limits, Loop, Reader, Stamp
from loopwatch.sentinel.patrol import ANNOUNCE, SPY, Patrol, outrun

__all__ = ["main"]

PAGE, LINE, ERRORS = 3, 4, 2
HANDSHAKE_S = 10.0
ATTEMPTS = 2


def main(arguments: list[str]) -> None:
    """Run until the watched process is gone. Arguments: its id, py-spy's path, the file to announce to ("" for stderr)."""
    process, program, file = int(arguments[0]), arguments[1], arguments[2]
    its_end = kernel.process_fd(process)
    if os.getppid() != process:
        return  # it has ended already
    if os.fork():
        os._exit(0)
    os.setsid()  # Ctrl-C is for the program
    os.chdir("/")
    _keep_only({0, 1, ERRORS, PAGE, LINE, its_end})
    os.set_blocking(LINE, False)
    Sentinel(process, program, file, its_end).run()
    os._exit(0)  # at once: nobody waits for what an interpreter tidies up


def _keep_only(wanted: set[int | None]) -> None:
    """Give up what the program let its children inherit: a port that it listens on must not outlive it."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in wanted:
            with contextlib.suppress(OSError):
                os.close(int(name))
    while os.open(os.devnull, os.O_RDWR) <= ERRORS:
        pass  # the program had closed one of its standard files


class Noted:
    """What was found when a stamp was first seen to be overdue: when, and the loops' clocks then."""

    def __init__(self, stamp: Stamp, at_ns: int, clocks: dict[int, kernel.Clocks | None]) -> None:
        self.stamp = stamp
        self.at_ns = at_ns
        self.clocks = clocks


class Sentinel:
    """Looks, has dumps taken, sends them home, and speaks up when the process cannot."""

    def __init__(self, process: int, program: str, file: str, its_end: int | None) -> None:
        self._process = process
        self._program = program
        self._file = file
        self._ends = [LINE] if its_end is None else [LINE, its_end]
        self._page = Reader(PAGE)
        self._patrol = Patrol()
        self._threads: list[spying.Thread] | None = None
        """Of the dump taken under the present stamp."""
        self._noted = Noted((0, 0, 0, 0, 0), 0, {})

    def run(self) -> None:
        """Until the watched process is gone."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - a traceback on the program's standard error would be no help
            self._send({"kind": "crashed", "text": repr(error)})

    def _run(self) -> None:
        self._send({"kind": "hello", "pid": os.getpid()})
        if not self._allowed():
            return
        if not kernel.may_read(self._process):
            self._send({"kind": "refused"})
        pause_s = 0.0
        while not select.select(self._ends, [], [], pause_s)[0]:
            # Short, for it is run twenty times a second, each time on a core that has done something else meanwhile.
            stamp, limits, now = self._page.stamp(), self._page.limits(), time.monotonic_ns()
            until = self._patrol.rest(stamp, limits, now) or self._act(stamp, limits, now)
            pause_s = max(0.0, (until - time.monotonic_ns()) / 1e9)

    def _allowed(self) -> bool:
        """Wait until the watched process has named this one as its tracer."""
        ready, _, _ = select.select(self._ends, [], [], HANDSHAKE_S)
        return LINE in ready and os.read(LINE, 16) == b"go"

    def _act(self, stamp: Stamp, limits: Limits, now: int) -> int:
        """The stamp is overdue; returns when to look again."""
        if stamp != self._noted.stamp:
            self._threads = None
            clocks = {loop[0]: kernel.clocks(self._process, loop[0]) for loop in self._page.loops()}
            self._noted = Noted(stamp, now, clocks)
        is_outrun = outrun(stamp, limits, now, kernel.sleeps(self._process, limits[0]))
        action, until = self._patrol.next(stamp, limits, now, kernel.state(self._process, limits[0]), is_outrun)
        if action == SPY:
            self._threads = self._spy(stamp, limits)
        elif action == ANNOUNCE:
            self._announce(stamp, limits)
            self._patrol.said(time.monotonic_ns() - stamp[1])
        return until

    # ── a dump ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _spy(self, stamp: Stamp, limits: Limits) -> list[spying.Thread] | None:
        """Take a dump and send it home. Once more where the GIL changed hands meanwhile: who knows what was read."""
        for _ in range(ATTEMPTS):
            began, before = time.monotonic_ns(), kernel.all_sleeps(self._process)
            text = spying.dump(self._program, self._process)
            after, ended = kernel.all_sleeps(self._process), time.monotonic_ns()
            if self._page.stamp() != stamp or outrun(stamp, limits, ended, after.get(limits[0], 0)):
                return None
            try:
                threads = spying.threads_of(text, {loop[0] for loop in self._page.loops()})
            except ValueError:
                self._send({"kind": "failed", "text": text[-400:].decode(errors="replace")})
                return None
            if all(after.get(thread[0]) == before.get(thread[0]) for thread in threads if thread[2]):
                times = {"due_ns": stamp[1], "began_ns": began, "ended_ns": ended}
                self._send({"kind": "dump", **times, "threads": threads})
                return threads
        return None

    def _send(self, message: dict[str, object]) -> None:
        """One packet home; lost if nobody fetches them."""
        with contextlib.suppress(OSError):
            os.write(LINE, json.dumps(message).encode())

    # ── a frozen process ────────────────────────────────────────────────────────────────────────────────────────

    def _announce(self, stamp: Stamp, limits: Limits) -> None:
        before, self._threads = self._threads, self._spy(stamp, limits) or self._threads
        if self._page.stamp() != stamp or spying.moved(before, self._threads):
            return
        loops = self._page.loops()
        holder = next((thread[0] for thread in self._threads or () if thread[2]), 0)
        chosen = next((one for one in loops if one[0] in (holder, stamp[2])), loops[0] if loops else None)
        if chosen is not None:
            event = event_of(self._situation(stamp, limits, chosen), time.time())
            self._write(json.dumps(event).encode() + b"\n")

    def _situation(self, stamp: Stamp, limits: Limits, loop: Loop) -> Situation:
        looked, due, thread, since, _ = stamp
        now = time.monotonic_ns()
        before, after = self._noted.clocks.get(loop[0]), kernel.clocks(self._process, loop[0])
        spent = None if before is None or after is None else (after[0] - before[0], after[1] - before[1])
        began = since if since and thread == loop[0] else looked
        return Situation(
            self._process, loop, began, now, now - due, limits[1], self._threads, spent, now - self._noted.at_ns
        )  # fmt: skip

    def _write(self, line: bytes) -> None:
        """One line to the file, or to the standard error that it has from the program; never waits for a reader."""
        with contextlib.suppress(OSError):
            if not self._file:
                if select.select([], [ERRORS], [], 0)[1]:
                    os.write(ERRORS, line)
                return
            file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(file, line)
            finally:
                os.close(file)
