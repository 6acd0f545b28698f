"""One run of the demo: the shop, quiet first and then under traffic, and what loopwatch said meanwhile."""

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TextIO

import httpx

from . import wording
from .findings import Outcome, findings_of, latency_of, problems
from .planted import read_planted
from .screens import screen_for
from .server import SHOP, DemoError, Event, Server, running_shop
from .supplier import running_supplier
from .traffic import HEALTH, INNOCENT, Visit, alone, customers, rush

__all__ = ["run_as_json", "run_on_screen"]

ALONE_S = 1.5
"""For how long GET /health is measured before the traffic begins: some 40 requests."""
STALL_EVENTS = ("event_loop_blocked", "event_loop_stalled")

OnStall = Callable[[Event, datetime], None]
"""Called with what loopwatch logged, and when the traffic began."""


async def run_on_screen(loop: str, seconds: float, out: TextIO) -> int:
    """Show the run as it goes; returns the exit status."""
    screen = screen_for(out)
    screen.say(wording.introduction(loop, len(read_planted(SHOP))))

    def started() -> None:
        screen.say(wording.announcement(seconds))
        screen.event(wording.EVENT_HEAD)

    outcome = await _observe(loop, seconds, started, lambda event, began: screen.event(wording.fields(event, began)))
    screen.say("\nThe same, added up:\n")
    screen.table(outcome.findings)
    screen.say(f"\n{wording.reading(outcome)}\n\n{wording.verdict(outcome)}")
    return 1 if problems(outcome) else 0


async def run_as_json(loop: str, seconds: float, out: TextIO) -> int:
    """Print one JSON document when it is over; returns the exit status."""
    events: list[Event] = []
    outcome = await _observe(loop, seconds, lambda: None, lambda event, _: events.append(event))
    found = {planted.name: outcome.found(planted) for planted in outcome.planted}
    document = asdict(outcome) | {
        "busy": outcome.busy,
        "events": events,
        "found": found,
        "problems": problems(outcome),
    }
    json.dump(document, out, indent=2, default=sorted)  # the only things json does not know are sets
    out.write("\n")
    return 1 if problems(outcome) else 0


async def _observe(loop: str, seconds: float, started: Callable[[], None], on_stall: OnStall) -> Outcome:
    """Everything but showing it.

    Args:
        loop: "uvloop" or "asyncio".
        seconds: Length of the traffic.
        started: Called right before the traffic begins.
        on_stall: Called for each stall that loopwatch logs from then on.
    """
    _end_on_sigterm()
    log = _Log(on_stall)
    with running_supplier() as supplier:
        async with running_shop(loop, supplier, log.take) as server, customers(server.url) as client:
            quiet = await _quiet(client)
            before = await _asked(client, server)
            started()
            log.began = began = datetime.now(UTC)
            visits = await rush(client, seconds)
            after = await _asked(client, server)
    return _outcome(server, began, (before, after), (quiet, visits))


class _Log:
    """Passes on what loopwatch logs, once the traffic has begun."""

    def __init__(self, on_stall: OnStall) -> None:
        self._on_stall = on_stall
        self.began: datetime | None = None

    def take(self, event: Event) -> None:
        """One line of the shop's log."""
        if self.began is not None and event.get("event") in STALL_EVENTS:
            self._on_stall(event, self.began)


async def _quiet(client: httpx.AsyncClient) -> Sequence[Visit]:
    """How GET /health does when nobody blocks the loop. A first request each opens what is opened once."""
    for endpoint in INNOCENT:
        await alone(client, endpoint, endpoint.every_s / endpoint.clients)
    return await alone(client, HEALTH, ALONE_S)


async def _asked(client: httpx.AsyncClient, server: Server) -> dict[str, Any]:
    """What loopwatch has found so far."""
    try:
        answer = (await client.get("/_loopwatch")).raise_for_status()
    except httpx.HTTPError as error:
        raise DemoError(f"the shop does not answer any more ({error!r}); it wrote:\n{server.last_words()}") from error
    found: dict[str, Any] = answer.json()
    return found


def _outcome(
    server: Server,
    began: datetime,
    asked: tuple[dict[str, Any], dict[str, Any]],
    visits: tuple[Sequence[Visit], Sequence[Visit]],
) -> Outcome:
    """`asked` and `visits`: of before the traffic began, and of the traffic."""
    before, after = (answer["stats"] for answer in asked)
    quiet, rush_hour = visits
    return Outcome(
        loop=after["loops"][0]["loop"]["backend"],
        seconds=after["observed_s"] - before["observed_s"],
        lost_ms=after["lost_ms"] - before["lost_ms"],
        own_ms=asked[1]["own_ms"] - asked[0]["own_ms"],
        findings=findings_of(asked[1]["incidents"], began, server.short),
        planted=read_planted(SHOP),
        requests=len(rush_hour),
        failed=sum(visit.status != 200 for visit in rush_hour),
        health_alone=latency_of(HEALTH.name, quiet),
        health=latency_of(HEALTH.name, rush_hour),
    )


def _end_on_sigterm() -> None:
    """Let SIGTERM end the run as Ctrl-C does, so that no server is left behind."""
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
