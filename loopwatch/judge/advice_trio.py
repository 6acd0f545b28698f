"""What to await instead on trio. A database's async driver mostly runs on asyncio alone: there a thread is the way."""

from loopwatch.records import Cause

__all__ = ["BY_CALL", "BY_CAUSE", "BY_PROTOCOL"]

THREAD = "`await trio.to_thread.run_sync(...)`"
HTTPX = "Use httpx.AsyncClient and await it."
CLIENT = f"Use httpx.AsyncClient, or run the call in a thread: {THREAD}."
QUEUES = f"Use trio's own Lock, Event or memory channel, or wait in a thread: {THREAD}."
PROCESS = "Use `await trio.run_process(...)`."
NAMES = "Use `await trio.socket.getaddrinfo(...)`."

BY_CALL: tuple[tuple[str, str], ...] = (
    ("time.sleep", "Use `await trio.sleep(...)`."),
    ("requests.", CLIENT),
    ("urllib.", CLIENT),
    ("urllib3.", CLIENT),
    ("http.client.", CLIENT),
    ("httpx.", HTTPX),
    ("httpcore.", HTTPX),
    ("openai.", "Use openai.AsyncOpenAI and await it."),
    ("anthropic.", "Use anthropic.AsyncAnthropic and await it."),
    ("socket.getaddrinfo", NAMES),
    ("socket.gethostbyname", NAMES),
    ("socket.", "Use trio's streams: `await trio.open_tcp_stream(...)`."),
    ("ssl.", "Use trio's streams: `await trio.open_ssl_over_tcp_stream(...)`."),
    ("subprocess.", PROCESS),
    ("os.system", PROCESS),
    ("posix.system", PROCESS),
    ("os.waitpid", "Use `await process.wait()` of trio's processes."),
    ("concurrent.futures.", f"Wait for it in a thread: {THREAD}."),
    ("threading.Thread.join", f"Join in a thread: {THREAD}."),
    ("threading.", QUEUES),
    ("queue.", QUEUES),
    ("multiprocessing.", f"Wait for it in a thread: {THREAD}."),
)
BY_PROTOCOL = {"HTTP": CLIENT, "HTTPS": CLIENT, "DNS": NAMES}
BY_CAUSE: dict[Cause, str] = {
    Cause.PYTHON: "Move the work to a process pool or a background worker, do less of it, "
    "or yield now and then with `await trio.lowlevel.checkpoint()`.",
    Cause.SLEEP: "Wait with `await trio.sleep(...)`.",
    Cause.NETWORK: f"Use a client that runs on trio, or run the call in a thread: {THREAD}.",
    Cause.SUBPROCESS: PROCESS,
    Cause.LOCK: QUEUES,
}
"""Where trio has its own answer."""
