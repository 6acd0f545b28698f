"""Who makes a blocking call: the first of the user's frames above it, unless somebody above may block."""

import threading
from dataclasses import dataclass, replace
from itertools import islice
from types import CodeType, FrameType

from loopwatch.clocks import time
from loopwatch.probes.names import kind_of_code

__all__ = ["Call", "caller_of"]

MAY_BLOCK = tuple(
    "importlib zipimport linecache tokenize traceback warnings inspect encodings logging faulthandler asyncio uvloop anyio "
    "coverage pytest_cov _pytest pluggy pytest_asyncio pytest_timeout loopwatch bdb pdb pydevd debugpy".split()
)
"""What these call on the way from the user's line is theirs: imports, tracebacks, log streams, the loop and the tools around it."""
LOOPS = {("asyncio.events", "_run"), ("asyncio.base_events", "_run_once"), ("asyncio.base_events", "run_forever")}
MAX_STACK = 12


@dataclass(frozen=True, slots=True)
class Call:
    """One blocking call by the user's code. Keeps code objects, no frames."""

    what: str
    """"open", "socket.getaddrinfo", ..."""
    at_ns: int
    code: CodeType
    """Whose line it is."""
    offset: int
    line: int
    module: str
    thread: str
    stack: tuple[str, ...]
    """"file:line function", outermost first."""
    reason: str | None = None
    """Of `loopwatch.allow`, where it covers the call."""

    @property
    def key(self) -> tuple[str, int, str, str | None]:
        """What makes two calls one."""
        return self.code.co_filename, self.line, self.what, self.reason

    @property
    def position(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Line, end line, column, end column (0-based UTF-8 bytes) of the call."""
        return next(islice(self.code.co_positions(), self.offset // 2, None), (self.line, None, None, None))

    def allowed_by(self, reason: str) -> "Call":
        """The same, allowed."""
        return replace(self, reason=reason)


def caller_of(frame: FrameType | None, what: str, allow: frozenset[str]) -> Call | None:
    """The call as it is told; None where it may block: it is a tool's, nobody's, or `allow` names somebody above it.

    Args:
        frame: The innermost Python frame at the call.
        what: Its name.
        allow: "module" or "module:function" of callers that may block.
    """
    found: FrameType | None = None
    stack: list[str] = []
    while frame is not None:
        code, module = frame.f_code, str(frame.f_globals.get("__name__", ""))
        if (module, code.co_name) in LOOPS or module == "loopwatch.attach":
            break
        if module in allow or f"{module}:{code.co_qualname}" in allow or f"{module}:{code.co_name}" in allow:
            return None
        if found is None and _may_block(module):
            return None
        if found is None and kind_of_code(code, module) == "app":
            found = frame
        if not module.startswith("blockbuster"):
            stack.append(f"{code.co_filename}:{frame.f_lineno} {code.co_qualname}")
        frame = frame.f_back
    if found is None:
        return None
    return Call(
        what=what,
        at_ns=time.monotonic_ns(),
        code=found.f_code,
        offset=found.f_lasti,
        line=found.f_lineno,
        module=str(found.f_globals.get("__name__", "")),
        thread=threading.current_thread().name,
        stack=tuple(reversed(stack[:MAX_STACK])),
    )


def _may_block(module: str) -> bool:
    return module.partition(".")[0] in MAY_BLOCK
