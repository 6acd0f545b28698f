"""Which of the user's lines blocked, and how sure is that?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from loopwatch.judge.mechanism import LATE_SWITCHES, mechanism_of
from loopwatch.judge.names import is_quick
from loopwatch.judge.weights import Part, held_ns, parts_of
from loopwatch.observations import Observation, Sample
from loopwatch.records import Cause, Frame, Origin, Share, Spot

__all__ = ["heaviest_stack", "parts_at_top", "shares_of", "user_frame"]

PLUMBING = ("asyncio", "uvloop")
CROWDED = 0.2
"""CPU of other threads, as a share of the wait for the GIL, from which on a late sample may come from after the culprit."""


def shares_of(observation: Observation, app_packages: Sequence[str] = ()) -> tuple[Share, ...]:
    """Every origin that took part, with its share of the sampled time, largest first."""
    weights: Counter[tuple[str, int, str]] = Counter()
    seen: dict[tuple[str, int, str], list[tuple[Part, Origin]]] = {}
    for part in parts_of(observation):
        origin = _origin(part, observation, app_packages)
        if origin is not None:
            key = (origin.file, origin.line, origin.function)
            weights[key] += part.wall_ns
            seen.setdefault(key, []).append((part, origin))
    total = sum(weights.values()) or 1
    return tuple(_share(seen[key], weight / total, observation) for key, weight in weights.most_common())


def _share(seen: Sequence[tuple[Part, Origin]], share: float, observation: Observation) -> Share:
    """The origin as it was seen for the longest time; certain if some part is, since the time was then seen to pass there."""
    longest = max(seen, key=lambda one: (one[1].exact, one[1].expression is not None, one[0].wall_ns))[1]
    causes: Counter[Cause] = Counter()
    for part, _ in seen:
        causes[mechanism_of(part, observation)] += part.wall_ns
    return Share(longest, round(share, 4), len(seen), causes.most_common(1)[0][0])


def _origin(part: Part, observation: Observation, app_packages: Sequence[str]) -> Origin | None:
    stack = part.sample.stack
    index = user_frame(stack, app_packages)
    if index is None:
        return None
    if stack[index].point == "resume" and index > 0 and user_frame(stack[:index], app_packages) == index - 1:
        # A function that was only just entered has not run: the time went by in its caller, on the line that calls it.
        index -= 1
    return _describe(stack, index, part, observation)


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


def _describe(stack: Sequence[Frame], index: int, part: Part, observation: Observation) -> Origin:
    frame = stack[index]
    beneath = stack[index + 1] if index + 1 < len(stack) else None
    spots = _candidates(frame, beneath, part, observation)
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
    """
    if held_ns(part, observation) <= LATE_SWITCHES * observation.switch_interval_ns:
        return ()
    here, elsewhere = _here(frame), tuple(spot for spot in frame.suspects if spot.line != frame.line)
    if beneath is not None and beneath.point != "resume":
        return ()
    if beneath is not None or frame.point != "call" or is_quick(frame.call):
        # Just entered, at the end of a round, or after a call that takes no time: an operator before it kept the GIL.
        return frame.suspects or (here,)
    return (here, *elsewhere) if elsewhere or _crowded(part.sample, observation) else ()


def _crowded(sample: Sample, observation: Observation) -> bool:
    """Other threads ran Python too: the watchdog may not have been the first to get the GIL."""
    vitals = observation.vitals
    return vitals is not None and (vitals.other_cpu_ns or 0) > CROWDED * sample.late_ns and sample.late_ns > 0


def parts_at_top(observation: Observation, app_packages: Sequence[str] = ()) -> tuple[Part, ...]:
    """The parts that stand at the heaviest origin; all of them where there is no origin."""
    shares, parts = shares_of(observation, app_packages), parts_of(observation)
    top = [part for part in parts if shares and _stands_at(part, shares[0].origin, app_packages, observation)]
    return tuple(top) or parts


def heaviest_stack(observation: Observation, app_packages: Sequence[str] = ()) -> tuple[Frame, ...]:
    """The stack that stands for most of the time at the heaviest origin, each frame with how long it lasted."""
    parts = parts_of(observation)
    if not parts:
        return ()
    chosen = max(parts_at_top(observation, app_packages), key=lambda part: part.wall_ns).sample
    return tuple(
        replace(frame, lasted=round(_lasted(chosen, depth, parts), 4)) for depth, frame in enumerate(chosen.stack)
    )


def _stands_at(part: Part, origin: Origin, app_packages: Sequence[str], observation: Observation) -> bool:
    own = _origin(part, observation, app_packages)
    return own is not None and (own.file, own.line, own.function) == (origin.file, origin.line, origin.function)


def _lasted(chosen: Sample, depth: int, parts: Sequence[Part]) -> float:
    """Share of the time, in a row around `chosen`, in which this code stood here with unchanged callers."""
    total = sum(part.wall_ns for part in parts) or 1
    longest = run = 0
    holds_chosen = False
    for part in parts:
        if _same_until(part.sample.stack, chosen.stack, depth):
            run += part.wall_ns
            holds_chosen = holds_chosen or part.sample is chosen
            longest = run if holds_chosen else longest
        elif holds_chosen:
            break
        else:
            run = 0
    return longest / total


def _same_until(stack: Sequence[Frame], other: Sequence[Frame], depth: int) -> bool:
    """Whether two stacks agree down to `depth`: callers on the same line, and the same function there."""
    if len(stack) <= depth or stack[depth].function != other[depth].function or stack[depth].file != other[depth].file:
        return False
    return all(
        a.line == b.line and a.function == b.function and a.file == b.file
        for a, b in zip(stack[:depth], other[:depth], strict=False)
    )
