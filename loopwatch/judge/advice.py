"""One sentence with the way out, by cause and by the call at hand. Data: extend the tables."""

from loopwatch.records import Cause, Origin

__all__ = ["advise"]

BY_CALL: tuple[tuple[str, str], ...] = (
    ("time.sleep", "Use `await asyncio.sleep(...)`."),
    (
        "requests.",
        (
            "Use an async client (httpx.AsyncClient, aiohttp), or `await anyio.to_thread.run_sync(...)`; "
            "in FastAPI a plain `def` endpoint runs in a thread by itself."
        ),
    ),
    ("httpx.", "Use httpx.AsyncClient and await it."),
    ("urllib", "Use an async client such as httpx.AsyncClient, or `await anyio.to_thread.run_sync(...)`."),
    ("http.client.", "Use an async client such as httpx.AsyncClient, or `await anyio.to_thread.run_sync(...)`."),
    ("socket.getaddrinfo", "Use `await loop.getaddrinfo(...)`."),
    ("sqlite3.", "Use aiosqlite, or run the query in a thread: `await anyio.to_thread.run_sync(...)`."),
    ("psycopg2.", "Use psycopg 3's AsyncConnection or asyncpg."),
    ("psycopg.", "Use psycopg.AsyncConnection."),
    ("pymysql.", "Use aiomysql or asyncmy."),
    ("redis.", "Use redis.asyncio."),
    ("pymongo.", "Use pymongo's AsyncMongoClient."),
    ("boto3.", "Use aioboto3, or run the call in a thread: `await anyio.to_thread.run_sync(...)`."),
    ("botocore.", "Use aiobotocore, or run the call in a thread: `await anyio.to_thread.run_sync(...)`."),
    ("smtplib.", "Use aiosmtplib, or hand the mail to a background worker."),
    ("subprocess.", "Use `await asyncio.create_subprocess_exec(...)` or anyio.run_process."),
    ("os.system", "Use `await asyncio.create_subprocess_shell(...)`."),
    ("posix.system", "Use `await asyncio.create_subprocess_shell(...)`."),
    ("hashlib.", "Run it in a thread (it gives up the GIL): `await anyio.to_thread.run_sync(...)`."),
    ("_hashlib.", "Run it in a thread (it gives up the GIL): `await anyio.to_thread.run_sync(...)`."),
    ("bcrypt.", "Run it in a thread (it gives up the GIL): `await anyio.to_thread.run_sync(...)`."),
    ("argon2.", "Run it in a thread (it gives up the GIL): `await anyio.to_thread.run_sync(...)`."),
    ("zlib.", "Run it in a thread (it gives up the GIL): `await anyio.to_thread.run_sync(...)`."),
    ("json.", "Send less, stream it, or use orjson or msgspec; a thread does not help, since json keeps the GIL."),
    ("re.", "Simplify the pattern, bound its input, or use a process pool: re keeps the GIL."),
    ("pickle.", "Use a process pool, or smaller pieces: pickle keeps the GIL."),
    ("_pickle.", "Use a process pool, or smaller pieces: pickle keeps the GIL."),
    ("open", "Read and write files in a thread: `await anyio.to_thread.run_sync(...)`, or use anyio.open_file."),
)
BY_CAUSE: dict[Cause, str] = {
    Cause.PYTHON: "Move the work to a process pool or a background worker, do less of it, "
    "or yield now and then with `await asyncio.sleep(0)`.",
    Cause.NATIVE: "Run it in a thread if it gives up the GIL (hashing, compression, numpy), else in a process pool.",
    Cause.SLEEP: "Wait with `await asyncio.sleep(...)`.",
    Cause.NETWORK: "Use an async client, or run the call in a thread: `await anyio.to_thread.run_sync(...)`.",
    Cause.DISK: "Do file work in a thread: `await anyio.to_thread.run_sync(...)`, or use anyio.open_file.",
    Cause.SUBPROCESS: "Use `await asyncio.create_subprocess_exec(...)` or anyio.run_process.",
    Cause.LOCK: "Use asyncio's own Lock, Queue or Event, or wait in a thread: `await anyio.to_thread.run_sync(...)`.",
    Cause.GIL: "Move the other thread's work to a process pool, or make it give up the GIL.",
    Cause.GC: "Call gc.freeze() after start-up, raise gc.set_threshold, or create fewer objects that refer to each other.",
    Cause.OVERLOAD: "Do less at once: bound the number of tasks that become ready together (a semaphore, chunks).",
    Cause.STARVED: "Give the process more CPU: raise its limits, run fewer workers, or move other work away.",
}


def advise(cause: Cause, origin: Origin | None) -> str | None:
    """The way out; None where there is nothing to say."""
    call = origin.call if origin is not None else None
    if call and cause not in (Cause.GC, Cause.GIL, Cause.STARVED, Cause.OVERLOAD):
        for prefix, advice in BY_CALL:
            if call == prefix or (prefix.endswith((".", "b")) and call.startswith(prefix)):
                return advice
    return BY_CAUSE.get(cause)
