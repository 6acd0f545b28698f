"""Where a frame stands in its bytecode, and what it may have done since the interpreter last looked.

CPython looks for a pending thread switch (3.11-3.13, Python/bytecodes.c and Python/ceval.c, `CHECK_EVAL_BREAKER` /
`CHECK_PERIODIC`) on entering a function (RESUME), at the end of a loop's round (JUMP_BACKWARD), and after a call into C. A thread
that runs Python code is therefore always found at one of these points, and what it did since the previous one is not visible.
"""

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

__all__ = ["Unseen", "point_of", "unseen_before"]

_CHECKPOINTS = (
    *("CALL", "PRECALL", "RESUME", "JUMP_BACKWARD"),
    *("INSTRUMENTED_CALL", "INSTRUMENTED_RESUME", "INSTRUMENTED_JUMP_B"),
)
LONG, MOSTLY_SHORT, FREEING = range(3)
_RANKS = {
    LONG: "BINARY_OP CONTAINS_OP BINARY_SLICE STORE_SLICE LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE BUILD_STRING "
    "FORMAT_WITH_SPEC UNPACK_EX",
    MOSTLY_SHORT: "COMPARE_OP BINARY_SUBSCR STORE_SUBSCR UNARY_NOT UNARY_NEGATIVE UNARY_INVERT UNPACK_SEQUENCE FORMAT_VALUE "
    "FORMAT_SIMPLE FOR_ITER",
    FREEING: "DELETE_SUBSCR DELETE_FAST DELETE_NAME DELETE_GLOBAL DELETE_ATTR DELETE_DEREF STORE_FAST STORE_NAME STORE_ATTR "
    "STORE_GLOBAL STORE_DEREF",
}
_RANK_OF = {name: rank for rank, names in _RANKS.items() for name in names.split()}
"""Instructions that may run C code of any length with no check point after them: operators, and what frees the last reference."""
_MAKES_OBJECT = frozenset({"GET_AWAITABLE", "GET_ITER", "GET_AITER"})


@dataclass(frozen=True, slots=True)
class Unseen:
    """What may have taken the time before a frame was found where it stands. Offsets in bytes, as `f_lasti` gives them."""

    operators: tuple[tuple[int, int], ...]
    """(offset, rank): likeliest first, one per line. Rank 0: known to take long; 1: mostly short; 2: may free objects."""
    call: int | None
    """The call before them. If it was one of a Python function, that may have spent the time as it returned."""


def point_of(code: CodeType, offset: int) -> str:
    """ "call", "resume" (just entered), "jump" (end of a loop's round), "await" or "other"."""
    name = next((name for _, name, *_ in _before(code, offset)), "")
    if _is_call(name):
        return "call"
    if "RESUME" in name or offset < 0:
        return "resume"
    if "JUMP_BACKWARD" in name:
        return "jump"
    return "await" if name in {"SEND", "YIELD_VALUE", "INSTRUMENTED_YIELD_VALUE"} else "other"


def unseen_before(code: CodeType, offset: int) -> Unseen:
    """What ran since the previous check point."""
    found: dict[int, tuple[int, int]] = {}
    following, call = "", None
    # The first row is where the frame stands (3.11 makes a call of two instructions); `offset` itself may be one of its
    # inline cache entries.
    for row, (at, name, line, _) in enumerate(_before(code, offset)):
        if row and _looks(name) and not (row == 1 and name == "PRECALL"):
            if following not in _MAKES_OBJECT:
                call = at if _is_call(name) else None
                break
            continue  # a coroutine or generator function: calling it makes an object, and the interpreter does not look
        rank = _RANK_OF.get(name)
        if rank is not None and line is not None and rank < found.get(line, (0, FREEING + 1))[1]:
            found[line] = (at, rank)
        following = name
    # What stands before the loop was run in its first round only.
    round_begins = next(_before(code, offset), (0, "", None, 0))[3]
    return Unseen(tuple(sorted(found.values(), key=lambda one: (one[0] < round_begins, one[1]))), call)


def _looks(name: str) -> bool:
    return name.startswith(_CHECKPOINTS) and "INTRINSIC" not in name


def _is_call(name: str) -> bool:
    return name.startswith(("CALL", "PRECALL", "INSTRUMENTED_CALL")) and "INTRINSIC" not in name


Row = tuple[int, str, int | None, int]
"""Offset, name, line, and where a jump to the start of a loop leads (else 0)."""


def _before(code: CodeType, offset: int) -> Iterator[Row]:
    """The instructions up to `offset`, latest first."""
    rows = _instructions(id(code), _ByIdentity(code))
    return (row for row in reversed(rows) if row[0] <= offset)


@lru_cache(maxsize=512)
def _instructions(code_id: int, code: "_ByIdentity") -> tuple[Row, ...]:
    """Every instruction, caches left out. `code_id` is the key: see `_ByIdentity`."""
    line = None
    rows = []
    for instruction in dis.get_instructions(code.code):
        line = instruction.positions.lineno if instruction.positions and instruction.positions.lineno else line
        target = instruction.argval if "JUMP_BACKWARD" in instruction.opname else 0
        rows.append((instruction.offset, instruction.opname, line, target))
    return tuple(rows)


class _ByIdentity:
    """A code object that is equal only to itself."""

    __slots__ = ("code",)

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.code is self.code

    def __hash__(self) -> int:
        return id(self.code)
