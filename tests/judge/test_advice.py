"""One sentence with the way out."""

import pytest
from facts import origin

from loopwatch.judge import advice_trio
from loopwatch.judge.advice import BY_CAUSE, BY_PROTOCOL, ON_ANY_LOOP, ON_ASYNCIO, advise
from loopwatch.judge.evidence import PROTOCOLS
from loopwatch.records import Cause

UNADVISED = {Cause.SUSPENDED, Cause.UNKNOWN}
NOBODYS_CALL = [Cause.GC, Cause.GIL, Cause.STARVED, Cause.OVERLOAD]


BY_CALL = (*ON_ASYNCIO, *ON_ANY_LOOP)


@pytest.mark.parametrize(("prefix", "advice"), BY_CALL)
def test_every_call_is_reachable(prefix, advice):
    """No entry of the table is hidden by an earlier one."""
    call = f"{prefix}something" if prefix.endswith(".") else prefix

    assert advise(Cause.NETWORK, origin(call=call)) == advice


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause(cause):
    """Every cause has advice, save those about which nothing can be done."""
    advice = advise(cause, None)

    assert (advice is None) == (cause in UNADVISED)
    assert advice == BY_CAUSE.get(cause)


@pytest.mark.parametrize(("protocol", "advice"), BY_PROTOCOL.items())
def test_every_protocol(protocol, advice):
    """Where the call says nothing, the peer's protocol does; it is one that evidence can name."""
    assert advise(Cause.NETWORK, origin(call="self.db.execute"), protocol) == advice
    assert advise(Cause.NATIVE, origin(call="self.db.execute"), protocol) == BY_CAUSE[Cause.NATIVE]
    assert protocol in PROTOCOLS.values()


@pytest.mark.parametrize("advice", [*dict(BY_CALL).values(), *BY_CAUSE.values(), *BY_PROTOCOL.values()])
def test_sentences(advice):
    """Each is a whole sentence on one line."""
    assert advice.strip() == advice
    assert advice[0].isupper() and advice.endswith(".")
    assert "\n" not in advice


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ("requests.api.get", "httpx"),
        ("requests.sessions.Session.request", "httpx"),
        ("urllib.request.urlopen", "httpx"),
        ("urllib3.poolmanager.PoolManager.request", "httpx"),
        ("subprocess.run", "create_subprocess_exec"),
        ("psycopg2.extensions.cursor.execute", "asyncpg"),
        ("psycopg.cursor.Cursor.execute", "psycopg.AsyncConnection"),
        ("redis.client.Redis.get", "redis.asyncio"),
        ("re.match", "pattern"),
        ("json.dumps", "orjson"),
        ("open", "anyio.open_file"),
    ],
)
def test_by_call(call, word):
    """A known blocking call gets advice of its own."""
    assert word in advise(Cause.NETWORK, origin(call=call))


@pytest.mark.parametrize(
    "call", ["shop.time.sleep", "reports.run", "opened", "openpyxl.load_workbook", "jsonschema.validate", None]
)
def test_other_call(call):
    """A call that only looks like a known one gets the advice for its cause."""
    assert advise(Cause.NATIVE, origin(call=call)) == BY_CAUSE[Cause.NATIVE]


@pytest.mark.parametrize("cause", NOBODYS_CALL)
def test_call_that_is_not_to_blame(cause):
    """What the collector, the machine or another thread did is not mended at the call that was running."""
    assert advise(cause, origin(call="requests.api.get")) == BY_CAUSE[cause]


@pytest.mark.parametrize("cause", list(Cause))
def test_on_trio(cause):
    """On trio nobody is told to use asyncio, or a library that runs on it alone."""
    calls = [None, *(name.rstrip(".") + ".it" for name, _ in BY_CALL)]

    told = {advise(cause, call and origin(call=call), one, "trio") for call in calls for one in (None, *BY_PROTOCOL)}

    for name in ("asyncio", "aio", "anyio", "asyncpg", "loop.", "AsyncConnection"):
        assert [advice for advice in told if advice and name in advice] == []


@pytest.mark.parametrize(("prefix", "advice"), advice_trio.BY_CALL)
def test_every_call_on_trio(prefix, advice):
    """What trio has of its own is said, and reads like the rest."""
    call = prefix + "it" if prefix.endswith(".") else prefix

    assert advise(Cause.NETWORK, origin(call=call), backend="trio") == advice
    test_sentences(advice)
