"""A saturated pool: where its threads stand, most first, with the user's line of each, and what to do about it."""

from dataclasses import replace

from facts import frame, library, saturation

from loopwatch.judge.pools import judge_saturation

PRICE = (frame("price", 41), library("requests.api.get"))
REPORT = (frame("report", 7),)


def test_grouped():
    """Threads at one line are counted together, the most first."""
    judged = judge_saturation(saturation(REPORT, PRICE, PRICE))

    assert [(group.count, group.origin.function, group.origin.line) for group in judged.workers] == [
        (2, "price", 41),
        (1, "report", 7),
    ]
    assert (judged.origin.call, judged.origin.exact) == ("requests.api.get", True)
    assert judged.workers[0].stack == PRICE


def test_taken_late():
    """A stack for which the GIL had to be waited for may show what came after: its line is an inference."""
    judged = judge_saturation(replace(saturation(PRICE), late_ns=80_000_000))

    assert (judged.origin.exact, judged.origin.candidates) == (False, (41,))


def test_nothing_seen():
    """Without stacks (a pool of connections that tasks use) no line is named."""
    judged = judge_saturation(saturation())

    assert (judged.workers, judged.origin) == ((), None)


def test_app_packages():
    """An installed package that counts as the user's code is named."""
    stack = (library("shop.prices.price", 12), library("requests.api.get"))

    assert judge_saturation(saturation(stack), ("shop",)).origin.function == "price"


def test_fingerprint():
    """Stable over line numbers and the number of an executor without a name, different for another function."""

    def of(name, *stacks):
        seen = saturation(*stacks)
        return judge_saturation(replace(seen, reading=replace(seen.reading, name=name))).fingerprint

    same = of("ThreadPoolExecutor-0", (frame("price", 41),))
    assert of("ThreadPoolExecutor-12", (frame("price", 43),)) == same
    assert of("ThreadPoolExecutor-0", (frame("report", 41),)) != same


def test_advice():
    """Each kind of pool has its own way out."""
    seen = saturation(PRICE)
    advice = {
        kind: judge_saturation(replace(seen, reading=replace(seen.reading, kind=kind))).advice
        for kind in ("anyio", "executor", "sqlalchemy")
    }

    assert "total_tokens" in advice["anyio"]
    assert "set_default_executor" in advice["executor"]
    assert "max_overflow" in advice["sqlalchemy"]
