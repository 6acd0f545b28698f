"""What the demo says, as text: pure functions over findings and events, shared by both screens."""

from datetime import datetime
from typing import Any

from .findings import Finding, Outcome, problems

__all__ = [
    "EVENT_HEAD",
    "TOO_BUSY",
    "announcement",
    "fields",
    "held_by",
    "introduction",
    "made_wait",
    "milliseconds",
    "reading",
    "verdict",
    "where",
]

TOO_BUSY = "the machine was too busy"
EVENT_HEAD = ("at", "blocked", "cause", "line", "held by", "what ran")


def introduction(loop: str, planted: int) -> str:
    """For someone who has never seen the project."""
    return (
        f"A small web shop (FastAPI, uvicorn, {loop}), watched by one line at startup: loopwatch.enable().\n"
        f"{planted} of its endpoints block the event loop, each in a common way. GET /health and GET /stock/{{sku}}\n"
        "do nothing wrong, but wait with everybody else. Its source is in loopwatch/demo/shop/.\n"
        "\n"
        "Starting it, and measuring GET /health while nobody blocks the loop ...\n"
    )


def announcement(seconds: float) -> str:
    """Before the live lines."""
    return f"Now {seconds:g} s of traffic. What loopwatch logs each time the loop is stuck for 100 ms or more:\n"


def fields(event: dict[str, Any], began: datetime) -> tuple[str, ...]:
    """One log event as columns, in the order of `EVENT_HEAD`.

    Args:
        event: `event_loop_blocked` or `event_loop_stalled` (it lasts, so its duration gets a "+").
        began: When the traffic began.
    """
    at_s = (datetime.fromisoformat(event["started_at"]) - began).total_seconds()
    lasting = "+" if event["event"] == "event_loop_stalled" else ""
    return (
        f"{at_s:.1f} s",
        f"{event['duration_ms']:.0f}{lasting} ms",
        event["cause"],
        f"{event['file']}:{event['line']}" if event.get("file") else "(no line)",
        f"{event['method']} {event['route']}" if event.get("route") else "-",
        event.get("expression") or event.get("call") or "",
    )


def where(finding: Finding) -> str:
    """Such as "shop/services.py:41"."""
    return f"{finding.file}:{finding.line}" if finding.file else "(no line)"


def held_by(finding: Finding) -> str:
    """The endpoint whose requests held the loop; "-" where none did: a starved request is a victim as well."""
    return finding.endpoints[0] if finding.endpoints and finding.blames_code else "-"


def made_wait(finding: Finding) -> str:
    """Who waited, such as "up to 7 requests"; empty where loopwatch cannot tell."""
    if finding.waited is None:
        return ""
    return f"up to {finding.waited} request{'' if finding.waited == 1 else 's'}"


def milliseconds(value: float) -> str:
    """Short: "1.2 ms", "240 ms"."""
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def reading(outcome: Outcome) -> str:
    """What to take home, in three lines."""
    alone, now = outcome.health_alone, outcome.health
    return (
        f"The loop was blocked for {outcome.lost_ms / 1e3:.1f} of {outcome.seconds:.1f} s. {_whose(outcome)}\n"
        f"GET /health, which does nothing wrong, waited up to {milliseconds(now.max_ms)} for them. Its median was "
        f"{milliseconds(alone.p50_ms)}\nalone and {milliseconds(now.p50_ms)} in this traffic; its 99th percentile "
        f"{milliseconds(alone.p99_ms)} alone and {milliseconds(now.p99_ms)} in this traffic."
    )


def verdict(outcome: Outcome) -> str:
    """Whether loopwatch was right about what the demo planted, with every mistake."""
    found = sum(map(outcome.found, outcome.planted))
    head = f"{found} of {len(outcome.planted)} planted blockers were named with line and cause"
    mistakes = problems(outcome)
    if not mistakes:
        return f"{head}; nothing innocent was blamed."
    if outcome.busy:
        mistakes = (*mistakes, f"{TOO_BUSY} for a fair run: the shop often had to wait for a core; try again later")
    return "\n".join([f"{head}.", *(f"  - {sentence}" for sentence in mistakes)])


def _whose(outcome: Outcome) -> str:
    """Which part of the lost time is explained by how many lines."""
    lines = {(finding.file, finding.line) for finding in outcome.named}
    named_ms = sum(finding.lost_ms for finding in outcome.named)
    share = named_ms / outcome.lost_ms if outcome.lost_ms else 0.0
    return f"These {len(lines)} lines account for {share:.0%} of that."
