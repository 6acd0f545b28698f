"""`Sentinel`: the watched process's end. `stamp` is the watchdog thread's, all else the delivery thread's until it has ended."""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loopwatch.records import LoopInfo
from loopwatch.sentinel.dumps import Dump, dump_of
from loopwatch.sentinel.page import Page
from loopwatch.sentinel.patrol import late_ns
from loopwatch.sentinel.refusal import allow_tracer, find_program, why_refused

__all__ = ["Sentinel"]

KEPT_DUMPS = 64
HELLO_S = 5.0
GOODBYE_S = 1.0
MAX_PACKET = 1 << 20
LOG_VARIABLE = "LOOPWATCH_SENTINEL_LOG"
"""Environment variable: the file to which a frozen process is announced; standard error where it is not set."""
_ROOT = str(Path(__file__).parent.parent.parent)
# Run as a command, not by `-m`: with -I and -S, which save memory and time, Python finds nothing but its own library.
_COMMAND = "import sys; sys.path.append(sys.argv[1]); from loopwatch.sentinel.child import main; main(sys.argv[2:])"
_PASSED_ON = ("LD_LIBRARY_PATH", "PATH")
_OWN_FDS = 10
"""Descriptors from here on cannot be one of those under which the other process finds page and line."""

Later = Callable[[Callable[[], object] | str], object]
"""Has the delivery thread carry something out, or say a sentence to the user. Never waits."""


class Sentinel:
    """Off until `begin`. After a fork, the child forgets it by `abandon` and makes its own."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._page: Page | None = None
        self._line: socket.socket | None = None
        self._begun = False
        self._dumps: deque[Dump] = deque(maxlen=KEPT_DUMPS)
        self._said: set[str] = set()
        self._described: Any = None
        self._due_ns = 0
        self.pid: int | None = None
        """Of the other process; None: there is none."""

    @property
    def reads(self) -> bool:
        """Whether there is somebody to stamp for."""
        return self._page is not None

    def begin(self) -> None:
        """Start it soon, unless it has been. Any thread; does not wait."""
        if not self._begun:
            self._begun = True
            self._later(self._start)

    def end(self) -> None:
        """End it soon, if it was begun. Any thread; does not wait."""
        if self._begun:
            self._later(self.stop)

    # ── the watchdog's thread ───────────────────────────────────────────────────────────────────────────────────

    def stamp(
        self, due_ns: int, turns: Sequence[tuple[LoopInfo, int]], threshold_ns: int, ongoing_ns: int, sleeps: int
    ) -> None:
        """The watchdog has looked.

        Args:
            due_ns: When it is to look again.
            turns: The loops that it watches, and since when each is in a turn (0: is not).
            threshold_ns: The shortest stall.
            ongoing_ns: How long a stall is when it is first announced; 0: none is.
            sleeps: How often its thread has gone to sleep so far.
        """
        page = self._page
        if page is None:
            return
        description = (page, threshold_ns, ongoing_ns, tuple(info for info, _ in turns))
        if description != self._described:
            self._described = description
            loops = [(info.native_id, info.backend, info.thread) for info, _ in turns]
            switch_ns = int(sys.getswitchinterval() * 1e9)
            page.describe((threading.get_native_id(), threshold_ns, ongoing_ns, switch_ns), loops)
        now = time.monotonic_ns()
        since, thread = min(((since, info.native_id) for info, since in turns if since), default=(0, 0))
        page.stamp((now, due_ns if turns else 0, thread, since, sleeps))
        if self._due_ns and now - self._due_ns > late_ns(threshold_ns):
            self._later(self._receive)  # so that the line never fills up with dumps that nobody asks for
        self._due_ns = due_ns if turns else 0

    # ── the delivery thread ─────────────────────────────────────────────────────────────────────────────────────

    def dumps(self) -> tuple[Dump, ...]:
        """The latest."""
        self._receive()
        return tuple(self._dumps)

    def stop(self) -> None:
        """End the other process and see it gone; its allowance, too."""
        line, page, self._line, self._page = self._line, self._page, None, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_WR)
                line.settimeout(GOODBYE_S)
                while line.recv(MAX_PACKET):
                    pass
            line.close()
            allow_tracer(0)
            self._reap()
        if page is not None:
            page.close()
        self._begun, self.pid, self._described = False, None, None

    def abandon(self) -> None:
        """In a fork's child: it is the parent's."""
        line, page, self._line, self._page = self._line, self._page, None, None
        if line is not None:
            line.close()
        if page is not None:
            page.close()

    def _start(self) -> None:
        program = find_program()
        if not sys.platform.startswith("linux") or program is None:
            self._say("the sentinel needs Linux" if program else "the sentinel needs py-spy, which is gone")
            return
        page, (line, other) = Page(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            _spawn(page.fd, other.fileno(), program)
        except OSError as error:
            self._say(f"the sentinel could not be started: {error}")
            other.close()
            line.close()
            page.close()
            return
        other.close()
        self._line, self._page = line, page
        self._greet(line)

    def _greet(self, line: socket.socket) -> None:
        """It says which process it is; it may look from then on."""
        line.settimeout(HELLO_S)
        try:
            hello = json.loads(line.recv(MAX_PACKET))
            self.pid = hello["pid"]
            allow_tracer(hello["pid"])
            line.send(b"go")
        except (OSError, ValueError, KeyError):
            self._gone("did not start")
        else:
            line.setblocking(False)

    def _receive(self) -> None:
        while (line := self._line) is not None:
            try:
                packet = line.recv(MAX_PACKET)
            except OSError:
                return
            if not packet:
                self._gone("has ended")
                return
            self._heard(json.loads(packet))

    def _heard(self, message: dict[str, Any]) -> None:
        if message["kind"] == "dump":
            self._dumps.append(dump_of(message))
        elif message["kind"] == "refused":
            self._say(why_refused())
        elif message["kind"] == "crashed":
            self._say(f"the sentinel failed: {message['text']}")
        elif message["kind"] == "failed":
            refused = "ermission" in message["text"] or "not permitted" in message["text"]
            self._say(why_refused() if refused else f"py-spy failed: {message['text']}")

    def _gone(self, what: str) -> None:
        self.stop()
        self._begun = True  # not again
        self._say(f"the sentinel {what}; lines of stalls under a held GIL stay inferred, the program is not affected")

    def _say(self, sentence: str) -> None:
        """Once, and not more than a few."""
        kind = sentence[:50]  # the rest may differ each time
        if kind not in self._said:
            self._said.add(kind)
            self._later(sentence if sentence.startswith("loopwatch: ") else f"loopwatch: {sentence}")

    def _reap(self) -> None:
        """Where this process is the init of a container, the orphan has become its child."""
        if self.pid is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)


def _spawn(page: int, line: int, program: str) -> None:
    """Start the process. What is started here ends as soon as it has forked."""
    import fcntl  # POSIX only

    file = os.environ.get(LOG_VARIABLE, "")
    arguments = [_ROOT, str(os.getpid()), program, os.path.abspath(file) if file else ""]
    python = _python()
    sources = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _OWN_FDS) for one in (page, line)]
    actions: list[Any] = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in zip(sources, (3, 4), strict=True)]
    actions += [(os.POSIX_SPAWN_OPEN, target, os.devnull, os.O_RDWR, 0) for target in (0, 1)]
    environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        first = os.posix_spawn(python, [python, "-I", "-S", "-c", _COMMAND, *arguments], environ, file_actions=actions)
    finally:
        for source in sources:
            os.close(source)
    with contextlib.suppress(ChildProcessError):  # somebody who waits for all children was quicker
        os.waitpid(first, 0)


def _python() -> str:
    """The interpreter, also where `sys.executable` is a server that embeds it."""
    names = (getattr(sys, "_base_executable", None), sys.executable, os.path.join(sys.exec_prefix, "bin", "python3"))
    return next((name for name in names if name and os.path.basename(name).startswith("python")), sys.executable)
