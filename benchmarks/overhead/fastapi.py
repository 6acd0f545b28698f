"""How many requests per second does FastAPI lose, and what happens to its latency?

Hello-world under uvicorn (httptools), where a request is cheapest and an observer weighs most. A round starts fresh
servers, without, without again and with, warms them and loads them A A' B, B A' A: fresh, since two processes of one
program differ by a few percent for their whole life (addresses, hash seed); mirrored, since the machine drifts.
"""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from statistics import mean, median
from typing import Any

from benchmarks.machine import describe
from benchmarks.overhead.load import CONNECTIONS, client_name, cores, drive
from benchmarks.overhead.processes import cpu_ns, running
from benchmarks.overhead.report import Check, Report, finish, options, plus_minus
from benchmarks.pairs import Estimate, bootstrap, ratios

BACKENDS = ("uvloop", "asyncio")
SIDES = {"one thread": "one thread", "without": "without", "without again": "without", "loopwatch": "loopwatch"}
"""All but the first have a second thread, as a server has from its first plain `def` endpoint on (see `park_a_thread`)."""
LEAST_RPS_RATIO = 0.99
"""DESIGN section 6."""
WARM_UP_S = 1.0

Stretch = dict[str, float]


def stretch(server: dict[str, Any], seconds: float, client_core: int | None) -> Stretch:
    """One stretch of load on one server, with the CPU time that the server spent on a request."""
    before_ns = cpu_ns(server["pid"])
    load = drive(server["port"], seconds, client_core)
    if load.errors:
        raise RuntimeError(f"{load.errors} requests failed: these figures would mean nothing")
    return asdict(load) | {"cpu_us": (cpu_ns(server["pid"]) - before_ns) / load.requests / 1000}


def measure_round(backend: str, number: int, seconds: float) -> dict[str, Stretch]:
    """One round; every side's figures are the means of its two mirrored stretches."""
    server_core, client_core = cores()
    pin = () if server_core is None else ("--core", str(server_core))
    order = list(SIDES) if number % 2 == 0 else list(reversed(SIDES))
    with ExitStack() as stack:
        servers = {}
        for name in order:
            chosen = ("--backend", backend, "--side", SIDES[name], *pin)
            # One hash seed for all servers of a round, another for the next: no side is lucky with its dicts.
            child = running("benchmarks.overhead.children.server", *chosen, PYTHONHASHSEED=str(number + 1))
            servers[name] = stack.enter_context(child)
            drive(servers[name]["port"], WARM_UP_S, client_core)
        stretches: dict[str, list[Stretch]] = {name: [] for name in SIDES}
        for name in [*order, *reversed(order)]:
            stretches[name].append(stretch(servers[name], seconds, client_core))
    return {name: {key: mean(one[key] for one in pair) for key in pair[0]} for name, pair in stretches.items()}


def column(rounds: list[dict[str, Stretch]], side: str, key: str) -> list[float]:
    return [one[side][key] for one in rounds]


def ratio(rounds: list[dict[str, Stretch]], side: str, key: str) -> Estimate:
    return bootstrap(ratios(column(rounds, side, key), column(rounds, "without", key)))


def row(backend: str, side: str, rounds: list[dict[str, Stretch]]) -> tuple[object, ...]:
    middle = {key: median(column(rounds, side, key)) for key in ("rps", "p50_ms", "p99_ms", "cpu_us")}
    compared = side != "without"
    return (
        backend,
        side,
        f"{middle['rps']:.0f}",
        plus_minus(ratio(rounds, side, "rps")) if compared else "",
        f"{middle['p50_ms']:.2f}",
        f"{middle['p99_ms']:.2f}",
        plus_minus(ratio(rounds, side, "p99_ms"), 3) if compared else "",
        f"{middle['cpu_us']:.1f}",
        plus_minus(ratio(rounds, side, "cpu_us")) if compared else "",
    )


def add(report: Report, backend: str, rounds: list[dict[str, Stretch]]) -> None:
    singles = ratios(column(rounds, "without again", "rps"), column(rounds, "without", "rps"))
    noise, spread = plus_minus(ratio(rounds, "without again", "rps")), f"{min(singles):.3f} .. {max(singles):.3f}"
    report.noise.append(f"{backend}: A/A ratio of requests per second {noise}, single rounds {spread}")
    report.rows += [row(backend, side, rounds) for side in SIDES]
    what = f"{backend}: requests per second with / without"
    report.checks.append(Check(what, ratio(rounds, "loopwatch", "rps"), LEAST_RPS_RATIO, at_least=True))
    report.figures[backend] = rounds


def main(argv: list[str] | None = None) -> int:
    parser = options(__doc__)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="only this one (may be repeated)")
    parser.add_argument("--rounds", type=int, help="rounds per backend (default 12)")
    arguments = parser.parse_args(argv)
    columns = ("backend", "side", "req/s", "ratio", "p50 ms", "p99 ms", "p99 ratio", "server cpu us/req", "cpu ratio")
    report = Report("FastAPI under load", describe("fastapi", "starlette", "uvicorn", "httptools", "uvloop"), columns)
    rounds, seconds = (2, 1.0) if arguments.quick else (arguments.rounds or 12, 3.0)
    for backend in arguments.backend or BACKENDS:
        add(report, backend, [measure_round(backend, number, seconds) for number in range(rounds)])
    pinned = (
        "server and client on a core each"
        if cores()[0] is not None
        else "nothing pinned: the client takes from the server"
    )
    report.notes.append(f"load by {client_name()}, {CONNECTIONS} connections, one request in flight on each; {pinned}")
    report.notes.append(
        "server cpu per request is the steadier figure on a busy machine: it does not count what neighbours took"
    )
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
