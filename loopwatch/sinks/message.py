"""An incident as messages tell it: as plain keys and values for programs, and as words for people. Pure.

What the program has bound to its log (`Stall.context`) stays in its log: a message may go to somebody else's server.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from loopwatch.records import Incident, Origin
from loopwatch.sinks.event import plain

__all__ = ["fields_of_incident", "headline", "rows"]

MOST_ENDPOINTS = 10
SECOND_MS = 1000.0


def fields_of_incident(incident: Incident, lost: int) -> dict[str, Any]:
    """Keys and values by the names that `Incident` has for them, flat, and whose they are."""
    fields = {
        "incident_id": incident.id,
        "state": incident.state,
        "news": incident.news,
        "severity": incident.severity.value,
        "fingerprint": incident.fingerprint,
        "cause": incident.cause.value,
        "count": incident.count,
        "lost_ms": round(incident.lost_ms, 1),
        "max_ms": round(incident.max_ms, 1),
        "p50_ms": round(incident.p50_ms, 1),
        "p95_ms": round(incident.p95_ms, 1),
        "p99_ms": round(incident.p99_ms, 1),
        "first_at": incident.first_at.isoformat(),
        "last_at": incident.last_at.isoformat(),
        "opened_at": incident.opened_at.isoformat(),
        "opened_count": incident.opened_count,
        "opened_ms": round(incident.opened_ms, 1),
        "openings": incident.openings,
        "endpoints": [f"{label}: {count}" for label, count in incident.endpoints[:MOST_ENDPOINTS]],
        "waited": [f"{label}: {count}" for label, count in incident.waited[:MOST_ENDPOINTS]],
        "waiting_max": incident.waiting_max,
        "advice": incident.advice,
        "suppressed_count": incident.suppressed_count,
        "messages_lost": lost,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    return {key: plain(value) for key, value in fields.items()}


def headline(incident: Incident) -> str:
    """One line: what happens, and where."""
    latest = incident.latest
    if incident.state == "closed":
        what = f"Closed: event loop was blocked {_times(incident)}"
    elif latest.ongoing:
        what = f"Event loop is stuck, for {_duration(latest.duration_ms)} so far"
    else:
        what = f"Event loop was blocked {_times(incident)}"
    return str(plain(f"{what}: {_place(incident)}"))


def rows(incident: Incident, lost: int) -> list[tuple[str, str]]:
    """What else is known, each with a word for what it is."""
    latest, waited = incident.latest, incident.waiting_max
    told = [
        *_line(incident.origin),
        ("Cause", f"{incident.cause.value}: {latest.evidence}"),
        ("Request", latest.request.label if latest.request else ""),
        ("Stalls", f"{incident.opened_count}, {_duration(incident.opened_ms)} in all" if incident.opened_count else ""),
        ("Made wait", f"up to {waited} request{'' if waited == 1 else 's'}" if waited else ""),
        ("Advice", incident.advice or ""),
        ("Severity", incident.severity.value),
        ("Process", f"{socket.gethostname()}, pid {os.getpid()}, loop in {latest.loop.thread}"),
        ("Fingerprint", incident.fingerprint),
        ("Not told", "; ".join(_untold(incident, lost))),
    ]
    clean = ((label, str(plain(text)).strip()) for label, text in told)
    return [(label, text) for label, text in clean if text]


def _line(origin: Origin | None) -> Iterator[tuple[str, str]]:
    if origin is not None:
        yield "Line", f"{origin.file}:{origin.line} in {origin.function}{'' if origin.exact else ' (inferred)'}"
        yield "Code", origin.expression or origin.source or ""


def _untold(incident: Incident, lost: int) -> Iterator[str]:
    if lost:
        yield f"{lost} messages before this one could not be delivered"
    if incident.suppressed_count:
        yield f"{incident.suppressed_count} incidents, because too many came at once"


def _place(incident: Incident) -> str:
    origin = incident.origin
    if origin is None:
        return incident.cause.value
    return f"{origin.call or origin.function} at {PurePath(origin.file).name}:{origin.line} ({incident.cause.value})"


def _times(incident: Incident) -> str:
    if incident.opened_count > 1:
        return f"{incident.opened_count} times, {_duration(incident.opened_ms)} in all"
    return f"for {_duration(incident.opened_ms or incident.latest.duration_ms)}"


def _duration(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < SECOND_MS else f"{ms / SECOND_MS:.1f} s"
