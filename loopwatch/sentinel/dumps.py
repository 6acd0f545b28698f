"""What py-spy saw while the GIL was kept, and how it joins the stall. Pure. On the delivery thread.

The sentinel sends only dumps that were taken whole while the watchdog waited for the GIL, and for which the thread that has it
never went to sleep. Then one piece of C code kept it all the while, and in the dump that thread stands on the line that called it.
The watchdog's own sample of that wait came late, after the fact: its clocks are kept, its stack gives way. Where the two agree on
a line, the watchdog's frame stays, since it knows columns and py-spy does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from loopwatch.observations import Hold, Observation, Sample
from loopwatch.records import Frame

__all__ = ["Dump", "Place", "Thread", "dump_of", "joined"]

Place = tuple[str, str, int]
"""A frame of a dump: file, qualified name, line."""
Boundary = frozenset[tuple[str, str]]
"""Files and qualified names of the functions that run loops."""
SPOT = ("line", "end_line", "column", "end_column", "source", "expression")
MOST_LATE = 0.1
SLACK_NS = 60_000_000
"""By how much the start of a stall may be off where it is only a bound: a look of the watchdog's."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread of a dump."""

    native_id: int
    name: str
    has_gil: bool
    places: tuple[Place, ...]
    """Outermost first."""


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump. Nanoseconds of the monotonic clock."""

    due_ns: int
    """When the watchdog should have looked."""
    began_ns: int
    ended_ns: int
    threads: tuple[Thread, ...]

    @property
    def holder(self) -> Thread | None:
        """The thread that had the GIL; None: py-spy could not tell."""
        return next((one for one in self.threads if one.has_gil), None)


def dump_of(message: dict[str, Any]) -> Dump:
    """From what the sentinel sent."""
    threads = (
        Thread(native_id, name, has_gil, tuple((file, function, line) for file, function, line in places[::-1]))
        for native_id, name, has_gil, places in message["threads"]
    )
    return Dump(message["due_ns"], message["began_ns"], message["ended_ns"], tuple(threads))


def joined(
    observation: Observation, dumps: Sequence[Dump], plain: Callable[[Place], Frame], boundary: Boundary
) -> Observation:
    """The stall with what the dumps taken in it have seen.

    Args:
        observation: With resolved stacks.
        dumps: Any; those of other times are left out.
        plain: Makes a frame of a place.
        boundary: What lies outside of the innermost of these functions is no part of a turn.
    """
    waits: set[int] = set()  # a long one may have several dumps, all alike
    for dump in dumps:
        if dump.holder is not None and dump.due_ns not in waits:
            join = _join_sample if dump.holder.native_id == observation.loop.native_id else _join_hold
            together = join(observation, dump, dump.holder, lambda at, late: _merged(at, late, plain), boundary)
            waits |= {dump.due_ns} if together is not observation else set()
            observation = together
    return observation


def _within(dump: Dump, observation: Observation) -> bool:
    slack = 0 if observation.exact and not observation.waited else SLACK_NS
    return observation.start_ns - slack <= dump.began_ns and dump.ended_ns <= observation.end_ns


Merge = Callable[[Sequence[Place], Sequence[Frame]], tuple[Frame, ...]]


def _join_sample(observation: Observation, dump: Dump, seen: Thread, merge: Merge, boundary: Boundary) -> Observation:
    if not _within(dump, observation):
        return observation
    after = next((one for one in observation.samples if one.at_ns >= dump.ended_ns), None)
    known = after.stack if after is not None else ()
    stack = merge(_cut(seen.places, boundary, known), known)
    if after is not None and _waited_meanwhile(after, dump):
        told = replace(after, stack=stack, inside=True)
        return replace(observation, samples=tuple(told if one is after else one for one in observation.samples))
    alone = Sample(dump.ended_ns, dump.ended_ns - dump.due_ns, stack, inside=True)
    samples = sorted((*observation.samples, alone), key=lambda one: one.at_ns)
    return replace(observation, samples=tuple(samples))


def _join_hold(observation: Observation, dump: Dump, seen: Thread, merge: Merge, boundary: Boundary) -> Observation:
    """The hold may have begun before the stall did: the loop was waiting for something else then."""
    holds = [one for one in observation.holds if one.native_id == seen.native_id and not one.awaited]
    after = next((one for one in holds if _waited_meanwhile(one, dump)), None)
    if after is not None:
        told = replace(after, stack=merge(seen.places, after.stack), inside=True)
        return replace(observation, holds=tuple(told if one is after else one for one in observation.holds))
    if not _within(dump, observation):
        return observation
    late_ns, stack = dump.ended_ns - dump.due_ns, merge(seen.places, ())
    alone = Hold(dump.ended_ns, late_ns, seen.name, seen.native_id, cpu_ns=0, stack=stack, inside=True)
    return replace(observation, holds=tuple(sorted((*observation.holds, alone), key=lambda one: one.at_ns)))


def _waited_meanwhile(taken: Sample | Hold, dump: Dump) -> bool:
    """Whether it was taken by the very look that was due by then; its lateness is less the time without a core."""
    return dump.ended_ns <= taken.at_ns and taken.late_ns >= MOST_LATE * (taken.at_ns - dump.due_ns)


def _cut(places: Sequence[Place], boundary: Boundary, late: Sequence[Frame]) -> Sequence[Place]:
    """What the loop itself had called."""
    for index in range(len(places) - 1, -1, -1):
        if places[index][:2] in boundary:
            return places[index + 1 :]
    outermost = (late[0].file, late[0].function) if late else None
    begin = next((index for index, place in enumerate(places) if place[:2] == outermost), 0)
    return places[begin:]


def _merged(places: Sequence[Place], late: Sequence[Frame], plain: Callable[[Place], Frame]) -> tuple[Frame, ...]:
    """The dump's frames, with what the watchdog knows of the same ones."""
    while late and late[-1].kind == "loopwatch":
        late = late[:-1]  # what the collector calls when it has finished
    frames: list[Frame] = []
    comparable = True
    for depth, (place, known) in enumerate(zip_longest(places, late[: len(places)])):
        comparable = comparable and known is not None and (known.file, known.function) == place[:2]
        like = known if comparable else None
        innermost = depth == len(places) - 1
        frames.append(_frame(place, like, innermost, len(late) == len(places), plain))
        comparable = comparable and known.line == place[2]  # else it calls something else there
    return tuple(frames)


def _frame(
    place: Place, like: Frame | None, innermost: bool, same_depth: bool, plain: Callable[[Place], Frame]
) -> Frame:
    if like is None:
        return plain(place)
    same_line = like.line == place[2]
    if same_line and (not innermost or (same_depth and like.point == "call")):
        return like
    spot = next((one for one in like.suspects if one.line == place[2]), None) if innermost else None
    if spot is not None:
        fields = {name: getattr(spot, name) for name in SPOT}
        return replace(like, **fields, call=None, point="other", suspects=(), returned=None)
    here = plain(place)
    return replace(here, module=like.module, kind=like.kind, coroutine=like.coroutine)
