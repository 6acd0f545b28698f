"""From the raw facts of one stall to what people read. Pure: records in, records out."""

from collections import Counter
from collections.abc import Sequence

from loopwatch.judge.advice import advise
from loopwatch.judge.allowed import excuse
from loopwatch.judge.callers import called_from
from loopwatch.judge.cause import RULES, Rule, verdict_of
from loopwatch.judge.evidence import protocol_of
from loopwatch.judge.fingerprint import fingerprint_of
from loopwatch.judge.origin import headline_of, heaviest_stack, holder_origin, parts_at, shares_of
from loopwatch.judge.weights import awaited, kept_by, weigh
from loopwatch.observations import Observation, Sample
from loopwatch.records import Cause, Holder, Origin, RequestInfo, Stall, TraceInfo

__all__ = ["RULES", "Rule", "judge"]

NO_LINE = frozenset({Cause.STARVED, Cause.SUSPENDED, Cause.GC, Cause.OVERLOAD})
"""Causes that are no single line's fault; `shares` still tells what was running."""


def judge(
    observation: Observation,
    threshold_ms: float,
    app_packages: tuple[str, ...] = (),
    rules: Sequence[Rule] = RULES,
) -> Stall:
    """Judge one stall.

    Args:
        observation: What was seen.
        threshold_ms: The threshold of the watch that asks.
        app_packages: Installed packages that count as the user's code.
        rules: Asked in turn for the cause; the first answer wins.
    """
    verdict = verdict_of(observation, rules)
    shares = shares_of(observation, app_packages)
    headline = headline_of(shares, verdict.cause)
    origin = _blamed(verdict.cause, headline, observation, app_packages)
    blamed = [part.sample for part in parts_at(observation, headline, app_packages)]
    task = _task(blamed)
    return Stall(
        id=observation.id,
        state="ongoing" if observation.ongoing else "ended",
        started_at=observation.started_at,
        duration_ms=observation.duration_ns / 1e6,
        own_ms=weigh(observation).own_ns / 1e6,
        timing="exact" if observation.exact and not observation.ongoing else "bounded",
        threshold_ms=threshold_ms,
        cause=verdict.cause,
        evidence=verdict.evidence,
        confidence=verdict.confidence,
        origin=origin,
        shares=shares,
        stack=heaviest_stack(observation, headline, app_packages),
        samples=len(observation.samples),
        request=_request(blamed),
        task=task,
        loop=observation.loop,
        waiting=observation.waiting,
        advice=advise(verdict.cause, origin, protocol_of(observation), observation.loop.backend),
        fingerprint=fingerprint_of(verdict.cause, origin, shares),
        context=blamed[-1].context if blamed else (),
        trace=_trace(blamed),
        allowed=excuse(observation, threshold_ms),
        holder=_holder(verdict.cause, observation),
        nurseries=next((sample.nurseries for sample in blamed if sample.nurseries and sample.task == task), ()),
        called_from=next((words for sample in blamed if (words := called_from(sample.stack))), None),
    )


def _blamed(
    cause: Cause, headline: Origin | None, observation: Observation, app_packages: tuple[str, ...]
) -> Origin | None:
    """No line of the loop's is blamed for what the machine, the collector or another thread did."""
    if cause is Cause.GIL:
        return holder_origin(observation, app_packages)
    return headline if headline and (cause not in NO_LINE or _asked_for(headline)) else None


def _holder(cause: Cause, observation: Observation) -> Holder | None:
    """Who kept the GIL, or whom the thread waited for."""
    hold = kept_by(observation) if cause is Cause.GIL else awaited(observation) if cause is Cause.LOCK else None
    if hold is None:
        return None
    waits_for = hold.waits_for[0] if hold.waits_for else None
    return Holder(hold.thread, hold.native_id, hold.stack, hold.request, waits_for)


def _asked_for(origin: Origin) -> bool:
    """Whether the line itself calls the collector: then the pause is its doing."""
    return origin.call == "gc.collect"


def _request(samples: Sequence[Sample]) -> RequestInfo | None:
    """The request of most samples: with its route where some samples came before the router had matched."""
    found = [sample.request for sample in samples if sample.request is not None]
    routed = [request for request in found if request.route is not None] or found
    return max(routed, key=routed.count, default=None)


def _task(samples: Sequence[Sample]) -> str | None:
    names = [sample.task for sample in samples if sample.task is not None]
    return max(names, key=names.count, default=None)


def _trace(samples: Sequence[Sample]) -> TraceInfo | None:
    """The span of most samples; None where none has more than half: of many requests that took part, none was the one held."""
    for trace, count in Counter(sample.trace for sample in samples).most_common(1):
        return trace if 2 * count > len(samples) else None
    return None
