"""Which of the user's lines blocked, and how sure is that?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from loopwatch.judge.mechanism import LATE_SWITCHES, mechanisms_of
from loopwatch.judge.names import enclosing, is_quick
from loopwatch.judge.weights import REMEMBERED, Part, held_ns, kept_by, parts_of
from loopwatch.observations import Observation, Sample
from loopwatch.records import Cause, Frame, Origin, Share, Spot

__all__ = ["headline_of", "heaviest_stack", "holder_origin", "parts_at", "seen_at", "shares_of", "user_frame"]

PLUMBING = ("asyncio", "uvloop", "trio", "outcome")
CROWDED = 0.2
"""CPU of other threads, as a share of the wait for the GIL, from which on a late sample may come from after the culprit."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """One part of a stall's time with the line it was spent on (None: no line can be named) and the mechanism."""

    part: Part
    origin: Origin | None
    cause: Cause

    @property
    def place(self) -> tuple[str, int, str] | None:
        """What makes two parts one share."""
        return None if self.origin is None else _place(self.origin)


def _place(origin: Origin) -> tuple[str, int, str]:
    return origin.file, origin.line, enclosing(origin.function)


@lru_cache(REMEMBERED)
def blame(observation: Observation, app_packages: tuple[str, ...] = ()) -> tuple[Blamed, ...]:
    """Line and mechanism of each part."""
    pairs = zip(parts_of(observation), mechanisms_of(observation), strict=True)
    return tuple(Blamed(part, _origin(part, observation, app_packages), cause) for part, cause in pairs)


def shares_of(observation: Observation, app_packages: tuple[str, ...] = ()) -> tuple[Share, ...]:
    """Every origin that took part, with its share of the sampled time, largest first."""
    weights: Counter[tuple[str, int, str]] = Counter()
    seen: dict[tuple[str, int, str], list[Blamed]] = {}
    for one in blame(observation, app_packages):
        if one.place is not None:
            weights[one.place] += one.part.wall_ns
            seen.setdefault(one.place, []).append(one)
    total = sum(weights.values()) or 1
    return tuple(_share(seen[place], weight / total) for place, weight in weights.most_common())


def _share(seen: Sequence[Blamed], share: float) -> Share:
    """The origin as it was seen for the longest time; certain if some part is, since the time was then seen to pass there."""
    origins = [(one.origin, one.part.wall_ns) for one in seen if one.origin is not None]
    longest = max(origins, key=lambda one: (one[0].exact, one[0].expression is not None, one[1]))[0]
    causes: Counter[Cause] = Counter()
    for one in seen:
        causes[one.cause] += one.part.wall_ns
    return Share(longest, round(share, 4), len(seen), causes.most_common(1)[0][0])


def headline_of(shares: Sequence[Share], cause: Cause) -> Origin | None:
    """The heaviest of the lines that were held by this cause; the heaviest of all where none was."""
    agreeing = [share.origin for share in shares if share.cause is cause]
    return next(iter(agreeing), shares[0].origin if shares else None)


def holder_origin(observation: Observation, app_packages: tuple[str, ...] = ()) -> Origin | None:
    """The line on which another thread kept the GIL; None where none was seen to, or the thread had moved on already."""
    hold = kept_by(observation)
    if hold is None:
        return None
    seen = Sample(hold.at_ns, hold.late_ns, hold.stack, inside=hold.inside)
    # The clocks of the stall are the loop's own: they say nothing of this thread.
    part = Part(seen, hold.late_ns, hold.cpu_ns, None, None)
    origin = _origin(part, replace(observation, vitals=None), app_packages)
    index = user_frame(hold.stack, app_packages)
    if origin is None or index is None or hold.stack[index].kind == "stdlib":
        return None  # a pool's worker that has finished its work
    # After one long hold the loop may have got the GIL before the watchdog, and the holder gone on meanwhile.
    sure = origin.exact and (hold.inside or hold.late_ns <= LATE_SWITCHES * observation.switch_interval_ns)
    return origin if sure else replace(origin, exact=False, candidates=origin.candidates or (origin.line,))


def _origin(part: Part, observation: Observation, app_packages: Sequence[str]) -> Origin | None:
    stack = part.sample.stack
    index = _blamed_frame(stack, app_packages)
    if index is None:
        return None
    return _describe(stack, index, _candidates(stack[index], _beneath(stack, index), part, observation))


def seen_at(stack: Sequence[Frame], app_packages: Sequence[str]) -> Origin | None:
    """The user's line in a stack that was taken without a wait for the GIL; None where it has no frame that says anything."""
    index = _blamed_frame(stack, app_packages)
    return None if index is None else _describe(stack, index, ())


def _blamed_frame(stack: Sequence[Frame], app_packages: Sequence[str]) -> int | None:
    index = user_frame(stack, app_packages)
    if index and stack[index].point == "resume" and user_frame(stack[:index], app_packages) == index - 1:
        # A function that was only just entered has not run: the time went by in its caller, on the line that calls it.
        return index - 1
    return index


def user_frame(stack: Sequence[Frame], app_packages: Sequence[str]) -> int | None:
    """Index of the innermost frame of the user's code; of the innermost frame at all where there is none."""
    for index in range(len(stack) - 1, -1, -1):
        frame = stack[index]
        if frame.kind == "app" or (frame.kind == "library" and _is_of(frame.module or "", app_packages)):
            return index
    other = [i for i, frame in enumerate(stack) if frame.kind != "loopwatch" and _package(frame) not in PLUMBING]
    return other[-1] if other else None


def _is_of(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _package(frame: Frame) -> str:
    return (frame.module or "").partition(".")[0]


def _describe(stack: Sequence[Frame], index: int, spots: Sequence[Spot]) -> Origin:
    frame, beneath = stack[index], _beneath(stack, index)
    here = spots[0] if spots else _here(frame)
    return Origin(
        file=frame.file,
        line=here.line,
        end_line=here.end_line,
        column=here.column,
        end_column=here.end_column,
        function=frame.function,
        source=here.source,
        expression=here.expression,
        call=_call(frame, beneath) if here.line == frame.line else None,
        exact=not spots,
        candidates=tuple(dict.fromkeys(spot.line for spot in spots)),
        module=frame.module,
    )


def _beneath(stack: Sequence[Frame], index: int) -> Frame | None:
    return stack[index + 1] if index + 1 < len(stack) else None


def _here(frame: Frame) -> Spot:
    return Spot(frame.line, frame.end_line, frame.column, frame.end_column, frame.source, frame.expression)


def _call(frame: Frame, beneath: Frame | None) -> str | None:
    if beneath is None:
        return frame.call
    # Generated code and comprehensions are part of the line, not something that it calls.
    if beneath.function.endswith((">", "<genexpr>")) and beneath.file == frame.file:
        return frame.call
    return f"{beneath.module}.{beneath.function}" if beneath.module else beneath.function


def _candidates(frame: Frame, beneath: Frame | None, part: Part, observation: Observation) -> tuple[Spot, ...]:
    """The places that this sample may stand for, likeliest first; none: it is certain to be where the frame stands.

    A sample that came at once, or after one switch interval, shows where the thread was. One that had to wait longer came
    at the first check point after whatever kept the GIL: a call into C is still on its line there, an operator is not.
    One that the sentinel took stands where the thread stood while it kept the GIL.
    """
    if part.sample.inside or held_ns(part, observation) <= LATE_SWITCHES * observation.switch_interval_ns:
        return ()
    here = _here(frame)
    if beneath is not None and beneath.point != "resume":
        return ()
    if beneath is not None or frame.point != "call" or is_quick(frame.call):
        # Just entered, at the end of a round, or after a call that takes no time: something before it kept the GIL.
        return (*frame.suspects, *((frame.returned,) if frame.returned else ())) or (here,)
    # The call may have taken the time itself: beside it, only operators that are known for it count.
    elsewhere = tuple(spot for spot in frame.suspects if spot.line != frame.line and spot.rank == 0)
    certain = not elsewhere and not part.sample.handed_on and not _crowded(part.sample, observation)
    return () if certain else (here, *elsewhere)


def _crowded(sample: Sample, observation: Observation) -> bool:
    """Other threads ran Python too: the watchdog may not have been the first to get the GIL."""
    vitals = observation.vitals
    return vitals is not None and (vitals.other_cpu_ns or 0) > CROWDED * sample.late_ns and sample.late_ns > 0


def parts_at(observation: Observation, origin: Origin | None, app_packages: tuple[str, ...] = ()) -> tuple[Part, ...]:
    """The parts that stand at an origin; all of them where there is none."""
    parts = blame(observation, app_packages)
    there = () if origin is None else tuple(one.part for one in parts if one.place == _place(origin))
    return there or parts_of(observation)


def heaviest_stack(
    observation: Observation, origin: Origin | None, app_packages: tuple[str, ...] = ()
) -> tuple[Frame, ...]:
    """The stack that stands for most of the time at an origin, each frame with how long it lasted."""
    parts = parts_of(observation)
    if not parts:
        return ()
    chosen = max(parts_at(observation, origin, app_packages), key=lambda part: part.wall_ns).sample
    agreed = [_agreed(part.sample.stack, chosen.stack) for part in parts]
    here = next(index for index, part in enumerate(parts) if part.sample is chosen)
    return tuple(
        replace(frame, lasted=round(_lasted(depth, agreed, here, parts), 4)) for depth, frame in enumerate(chosen.stack)
    )


def _lasted(depth: int, agreed: Sequence[int], here: int, parts: Sequence[Part]) -> float:
    """Share of the time, in a row around part `here`, in which this code stood at this depth with unchanged callers."""
    first = last = here
    while first > 0 and agreed[first - 1] > depth:
        first -= 1
    while last + 1 < len(parts) and agreed[last + 1] > depth:
        last += 1
    total = sum(part.wall_ns for part in parts) or 1
    return sum(part.wall_ns for part in parts[first : last + 1]) / total


def _agreed(stack: Sequence[Frame], other: Sequence[Frame]) -> int:
    """How many frames, from the outermost, two stacks share: the same function, with all its callers on the same line."""
    for depth, (a, b) in enumerate(zip(stack, other, strict=False)):
        if a is b:
            continue
        if a.function != b.function or a.file != b.file:
            return depth
        if a.line != b.line:
            return depth + 1
    return min(len(stack), len(other))
