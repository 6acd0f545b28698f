"""One sentence with the way out, by the call at hand, by what is spoken with the peer, or by cause. Data: extend the tables.

What to await instead depends on the loop: most async libraries know asyncio only, so trio has tables of its own (`advice_trio`).
"""

from collections.abc import Iterable, Mapping

from loopwatch.judge import advice_trio
from loopwatch.records import Cause, Origin

__all__ = ["advise"]

THREAD = "`await anyio.to_thread.run_sync(...)`"
CLIENT = (
    f"Use an async client (httpx.AsyncClient, aiohttp), or {THREAD}; "
    "in FastAPI a plain `def` endpoint runs in a thread by itself."
)
FREES_GIL = f"Run it in a thread, which is enough since it gives up the GIL: {THREAD}."
KEEPS_GIL = (
    "Use a process pool or a background worker, or smaller pieces: it keeps the GIL, so a thread would not help."
)
FILES = f"Do file work in a thread: {THREAD}, or use anyio.open_file and anyio.Path."
QUEUES = f"Use asyncio's own Lock, Queue or Event, or wait in a thread: {THREAD}."

ON_ASYNCIO: tuple[tuple[str, str], ...] = (
    # waiting by the clock
    ("time.sleep", "Use `await asyncio.sleep(...)`."),
    # HTTP
    ("requests.", CLIENT),
    ("urllib.", CLIENT),
    ("urllib3.", CLIENT),
    ("http.client.", CLIENT),
    ("httpx.", "Use httpx.AsyncClient and await it."),
    ("httpcore.", "Use httpx.AsyncClient and await it."),
    ("openai.", "Use openai.AsyncOpenAI and await it."),
    ("anthropic.", "Use anthropic.AsyncAnthropic and await it."),
    ("stripe.", "Use Stripe's `..._async` methods and await them."),
    ("grpc.", "Use grpc.aio."),
    # databases and caches
    ("sqlite3.", f"Use aiosqlite, or run the query in a thread: {THREAD}."),
    ("sqlalchemy.", "Use sqlalchemy.ext.asyncio (create_async_engine, AsyncSession)."),
    ("django.", "Use Django's async queries (`aget`, `async for`), or asgiref's sync_to_async."),
    ("psycopg2.", "Use psycopg 3's AsyncConnection or asyncpg."),
    ("psycopg.", "Use psycopg.AsyncConnection."),
    ("pymysql.", "Use aiomysql or asyncmy."),
    ("MySQLdb.", "Use aiomysql or asyncmy."),
    ("mysql.connector.", "Use mysql.connector.aio."),
    ("pymssql.", f"Use aioodbc, or run the query in a thread: {THREAD}."),
    ("pyodbc.", f"Use aioodbc, or run the query in a thread: {THREAD}."),
    ("oracledb.", "Use oracledb.connect_async."),
    ("redis.", "Use redis.asyncio."),
    ("pymongo.", "Use pymongo's AsyncMongoClient."),
    ("elasticsearch.", "Use elasticsearch.AsyncElasticsearch."),
    ("cassandra.", "Use execute_async and await its future, or run the query in a thread."),
    ("pymemcache.", "Use aiomcache, or a thread."),
    # clouds, queues, mail, shells
    ("boto3.", f"Use aioboto3, or run the call in a thread: {THREAD}."),
    ("botocore.", f"Use aiobotocore, or run the call in a thread: {THREAD}."),
    ("azure.", "Use the same client from the package's `.aio` module."),
    ("google.cloud.", "Use the library's `...AsyncClient`."),
    ("pika.", "Use aio-pika."),
    ("kafka.", "Use aiokafka."),
    ("confluent_kafka.", "Use aiokafka, or poll in a thread."),
    ("paho.", "Use aiomqtt."),
    ("smtplib.", "Use aiosmtplib, or hand the mail to a background worker."),
    ("imaplib.", "Use aioimaplib, or a background worker."),
    ("ftplib.", "Use aioftp, or a background worker."),
    ("paramiko.", "Use asyncssh."),
    ("ldap3.", f"Use bonsai, or run the search in a thread: {THREAD}."),
    # names and bare sockets
    ("socket.getaddrinfo", "Use `await loop.getaddrinfo(...)`."),
    ("socket.gethostbyname", "Use `await loop.getaddrinfo(...)`."),
    ("dns.resolver.", "Use dns.asyncresolver."),
    ("socket.", "Use asyncio's streams: `await asyncio.open_connection(...)`."),
    ("ssl.", "Use asyncio's streams with `ssl=...`: `await asyncio.open_connection(...)`."),
    # child processes
    ("subprocess.", "Use `await asyncio.create_subprocess_exec(...)` or anyio.run_process."),
    ("os.system", "Use `await asyncio.create_subprocess_shell(...)`."),
    ("posix.system", "Use `await asyncio.create_subprocess_shell(...)`."),
    ("os.waitpid", "Use `await process.wait()` of asyncio's subprocesses."),
    # threads
    ("concurrent.futures.", "Await it: `await asyncio.wrap_future(future)`, or `await loop.run_in_executor(...)`."),
    ("threading.Thread.join", f"Join in a thread: {THREAD}, or let the work be a future and await that."),
    ("threading.", QUEUES),
    ("queue.", QUEUES),
    ("multiprocessing.", f"Use `loop.run_in_executor` with a ProcessPoolExecutor, or wait in a thread: {THREAD}."),
)
"""A name that ends in a dot stands for all within it; the first that fits counts."""
ON_ANY_LOOP: tuple[tuple[str, str], ...] = (
    # files
    ("open", FILES),
    ("io.", FILES),
    ("pathlib.", FILES),
    ("shutil.", FILES),
    ("tempfile.", FILES),
    ("os.fsync", FILES),
    ("zipfile.", FREES_GIL),
    ("tarfile.", FREES_GIL),
    ("input", f"Ask in a thread: {THREAD}."),
    # hashing, compression, cryptography: C code that gives up the GIL
    ("hashlib.", FREES_GIL),
    ("_hashlib.", FREES_GIL),
    ("bcrypt.", FREES_GIL),
    ("argon2.", FREES_GIL),
    ("passlib.", FREES_GIL),
    ("cryptography.", FREES_GIL),
    ("zlib.", FREES_GIL),
    ("gzip.", FREES_GIL),
    ("bz2.", FREES_GIL),
    ("lzma.", FREES_GIL),
    ("PIL.", FREES_GIL),
    ("numpy.", FREES_GIL),
    ("lxml.", FREES_GIL),
    # text and data: code that keeps it
    (
        "json.",
        "Send less, stream it, or use orjson or msgspec; a thread does not help, since it keeps the GIL.",
    ),
    ("orjson.", "Send less, or stream it in pieces: it keeps the GIL, so a thread would not help."),
    ("re.", "Simplify the pattern (no nested repetition), bound its input, or use a process pool: it keeps the GIL."),
    ("pickle.", KEEPS_GIL),
    ("_pickle.", KEEPS_GIL),
    ("copy.deepcopy", "Copy less (a shallow copy, immutable data), or use a process pool: it keeps the GIL."),
    ("pandas.", KEEPS_GIL),
    ("yaml.", "Use yaml.CSafeLoader, which is some ten times faster, or a process pool: it keeps the GIL."),
    ("xml.", KEEPS_GIL),
    ("csv.", KEEPS_GIL),
    ("jinja2.", "Render less, stream it (`generate_async`), or use a process pool: it keeps the GIL."),
    ("pydantic.", "Validate less at once (TypeAdapter, smaller pages), or use a process pool: it keeps the GIL."),
)
BY_PROTOCOL: dict[str, str] = {
    "HTTP": CLIENT,
    "HTTPS": CLIENT,
    "PostgreSQL": "Use asyncpg, or psycopg 3's AsyncConnection.",
    "MySQL": "Use aiomysql or asyncmy.",
    "SQL Server": "Use aioodbc.",
    "Oracle": "Use oracledb.connect_async.",
    "MongoDB": "Use pymongo's AsyncMongoClient.",
    "Redis": "Use redis.asyncio.",
    "memcached": "Use aiomcache.",
    "Elasticsearch": "Use elasticsearch.AsyncElasticsearch.",
    "Kafka": "Use aiokafka.",
    "AMQP": "Use aio-pika.",
    "SMTP": "Use aiosmtplib, or hand the mail to a background worker.",
    "IMAP": "Use aioimaplib, or a background worker.",
    "FTP": "Use aioftp, or a background worker.",
    "SSH": "Use asyncssh.",
    "DNS": "Use `await loop.getaddrinfo(...)`.",
}
"""Where the call is nobody's whose name is known, such as `self.db.execute`: see `loopwatch.judge.evidence.PROTOCOLS`."""
BY_CAUSE: dict[Cause, str] = {
    Cause.PYTHON: "Move the work to a process pool or a background worker, do less of it, "
    "or yield now and then with `await asyncio.sleep(0)`.",
    Cause.NATIVE: "Run it in a thread if it gives up the GIL (hashing, compression, numpy), else in a process pool.",
    Cause.SLEEP: "Wait with `await asyncio.sleep(...)`.",
    Cause.NETWORK: f"Use an async client, or run the call in a thread: {THREAD}.",
    Cause.DISK: FILES,
    Cause.SUBPROCESS: "Use `await asyncio.create_subprocess_exec(...)` or anyio.run_process.",
    Cause.LOCK: QUEUES,
    Cause.GIL: "Move the other thread's work to a process pool, or make it give up the GIL.",
    Cause.GC: "Call gc.freeze() after start-up, raise gc.set_threshold, or create fewer objects that refer to each other.",
    Cause.OVERLOAD: "Do less at once: bound the number of tasks that become ready together (a semaphore, chunks).",
    Cause.STARVED: "Give the process more CPU: raise its limits, run fewer workers, or move other work away.",
}


def advise(cause: Cause, origin: Origin | None, protocol: str | None = None, backend: str = "asyncio") -> str | None:
    """The way out; None where there is nothing to say."""
    call = origin.call if origin is not None and cause not in NOBODYS_CALL else None
    if backend != "trio":
        return _advice((*ON_ASYNCIO, *ON_ANY_LOOP), BY_PROTOCOL, BY_CAUSE, cause, call, protocol)
    calls, causes = (*advice_trio.BY_CALL, *ON_ANY_LOOP), BY_CAUSE | advice_trio.BY_CAUSE
    advice = _advice(calls, advice_trio.BY_PROTOCOL, causes, cause, call, protocol)
    return advice and advice.replace("anyio.", "trio.")  # anyio has these names from there


def _advice(
    by_call: Iterable[tuple[str, str]],
    by_protocol: Mapping[str, str],
    by_cause: Mapping[Cause, str],
    cause: Cause,
    call: str | None,
    protocol: str | None,
) -> str | None:
    for name, advice in by_call if call else ():
        if call == name or (name.endswith(".") and str(call).startswith(name)):
            return advice
    if cause is Cause.NETWORK and protocol in by_protocol:
        return by_protocol[str(protocol)]
    return by_cause.get(cause)


NOBODYS_CALL = frozenset({Cause.GC, Cause.GIL, Cause.STARVED, Cause.OVERLOAD})
"""What the collector, the machine or another thread did is not mended at the call that was running."""
