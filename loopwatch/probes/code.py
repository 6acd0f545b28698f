"""From a code object and an offset to a `Frame`: line, columns, the exact expression, and where the interpreter stood.

Runs on the delivery thread: `co_positions` takes 25-50 microseconds and reading source is I/O. Answers are cached per place,
since the samples of a stall, and stalls of one incident, stand at the same few places.

"""

import ast
import linecache
import sys
import tokenize  # noqa: F401 - what linecache imports when it first needs it: a fork meanwhile would lock the import for good
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import dropwhile, islice
from types import CodeType, ModuleType
from typing import Any

from loopwatch.probes.bytecode import point_of, unseen_before
from loopwatch.probes.names import kind_of_code, kind_of_place, resolve_name
from loopwatch.records import Frame, Spot

__all__ = ["Resolver", "frame_at"]

MAX_CACHED = 4_096
MAX_TEXT = 240
"""Characters of source or expression kept: a line may be a megabyte of data."""


class Resolver:
    """Turns points into frames. For one thread."""

    def __init__(self) -> None:
        self._cache: dict[tuple[int, int], tuple[CodeType, Frame]] = {}

    def stack(self, points: Iterable[tuple[CodeType, int, str | None]]) -> tuple[Frame, ...]:
        """The frames of a walked stack, which comes innermost first; outermost first.

        Our own callback of the collector, at the inner end, stands for whatever the collector interrupted: it is left out.
        """
        frames = [self.frame(code, offset, module) for code, offset, module in points]
        return tuple(dropwhile(lambda frame: frame.kind == "loopwatch", frames))[::-1]

    def frame(self, code: CodeType, offset: int, module: str | None) -> Frame:
        """The frame that stood at `offset` (bytes, as `f_lasti` gives it) of `code`."""
        # By identity: equal code objects may come from different files (code.__eq__ leaves the file out).
        key = (id(code), offset)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = self._cache[key] = (code, _resolve(code, offset, module))
        return found[1]


@lru_cache(maxsize=512)
def frame_at(place: tuple[str, str, int]) -> Frame:
    """A frame of which only file, qualified name and line are known: what the sentinel saw."""
    file, function, line = place
    module = next((name for name, one in list(sys.modules.items()) if _file_of(one) == file), None)
    source, _ = _texts(file, module, line, None, None, None)
    kind = kind_of_place(file, function, module)
    return Frame(file=file, function=function, line=line, module=module, kind=kind, source=source)


def _file_of(module: Any) -> Any:
    # Past what a lazily loaded module makes of a look at it (importlib.util.LazyLoader).
    return object.__getattribute__(module, "__dict__").get("__file__") if isinstance(module, ModuleType) else None


def _resolve(code: CodeType, offset: int, module: str | None) -> Frame:
    spot = _spot(code, offset, module)
    point = point_of(code, offset)
    before = unseen_before(code, offset)
    # At the end of a round, or on entry, the instruction's own position is a by-product: only its line means something.
    expression = None if point in ("jump", "resume") else spot.expression
    return Frame(
        file=code.co_filename,
        function=code.co_qualname,
        line=spot.line,
        end_line=spot.end_line,
        column=spot.column,
        end_column=spot.end_column,
        module=module,
        kind=kind_of_code(code, module),
        source=spot.source,
        expression=expression,
        call=_called(expression, module) if point == "call" else None,
        point=point,
        suspects=tuple(replace(_spot(code, at, module), rank=rank) for at, rank in before.operators),
        returned=None if before.call is None else _spot(code, before.call, module),
        coroutine=bool(code.co_flags & _COROUTINE),
    )


def _spot(code: CodeType, offset: int, module: str | None) -> Spot:
    line, end_line, column, end_column = _position(code, offset)
    source, expression = _texts(code.co_filename, module, line, end_line, column, end_column)
    return Spot(line, end_line, column, end_column, source, expression)


_COROUTINE = 0x80 | 0x200 | 0x100  # inspect.CO_COROUTINE, CO_ASYNC_GENERATOR, CO_ITERABLE_COROUTINE


def _position(code: CodeType, offset: int) -> tuple[int, int | None, int | None, int | None]:
    index = max(offset, 0) // 2
    line, end_line, column, end_column = next(islice(code.co_positions(), index, None), (None, None, None, None))
    if line is None:
        lines = [
            start_line for start, _, start_line in code.co_lines() if start_line is not None and start <= max(offset, 0)
        ]
        line = lines[-1] if lines else code.co_firstlineno
    return line, end_line, column, end_column


def _texts(
    file: str, module: str | None, line: int, end_line: int | None, column: int | None, end_column: int | None
) -> tuple[str | None, str | None]:
    lines = _lines(file, module)
    if not 0 < line <= len(lines):
        return None, None
    source = lines[line - 1].strip()[:MAX_TEXT]
    if column is None or end_column is None or end_line is None or end_line > len(lines):
        return source, None
    return source, _cut([text.encode() for text in lines[line - 1 : end_line]], column, end_column)


def _cut(lines: list[bytes], column: int, end_column: int) -> str | None:
    """The piece between two columns (UTF-8 byte offsets); one of several lines is written on one, without its comments."""
    several = len(lines) > 1
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    text = b"".join(lines).decode(errors="replace").strip()
    if several:
        try:
            text = ast.unparse(ast.parse(f"({text})", mode="eval"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            text = " ".join(text.split())
    return text[:MAX_TEXT] or None


def _lines(file: str, module: str | None) -> list[str]:
    known = linecache.getlines(file)
    if known or file.startswith("<"):
        return known
    # A zip or another loader: linecache asks the module's own loader for the source (PEP 302, `get_source`).
    found = sys.modules.get(module or "")
    return linecache.getlines(file, vars(found)) if isinstance(found, ModuleType) else []


def _called(expression: str | None, module: str | None) -> str | None:
    if not expression:
        return None
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    tree = tree.value if isinstance(tree, ast.Await) else tree
    dotted = _dotted(tree.func) if isinstance(tree, ast.Call) else None
    return None if dotted is None else resolve_name(dotted, module)


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else None
    return None
