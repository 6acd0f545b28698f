"""Database and cloud clients, real ones, in their synchronous form: against a real server where there is one."""

import sqlite3
import threading
import time
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL

HOST = "127.0.0.1"


def _postgres(setup: Setup) -> Any:
    import psycopg

    address = f"host={HOST} port={setup.services['postgres']} user=corpus dbname=postgres"
    return setup.closing.enter_context(psycopg.connect(address, autocommit=True))


@case("network", places=ALL, small=True, modules=("psycopg",), service="postgres", make=_postgres)
def psycopg_execute(run: Run) -> None:
    began = run.begin()
    run.data.execute("SELECT pg_sleep(%s)", (run.seconds,))  # BLOCK
    run.end(began, now())


def _redis(setup: Setup) -> Any:
    import redis

    client = redis.Redis(HOST, setup.services["redis"], protocol=2)
    client.ping()
    return client


@case("network", modules=("redis",), service="redis", make=_redis)
def redis_get(run: Run) -> None:
    key = f"wait-{run.wait_ms}"
    began = run.begin()
    run.data.get(key)  # BLOCK
    run.end(began, now())


def _mysql(setup: Setup) -> Any:
    import pymysql

    return pymysql.connect(host=HOST, port=setup.services["mysql"], user="corpus", autocommit=True)


@case("network", modules=("pymysql",), service="mysql", make=_mysql)
def pymysql_execute(run: Run) -> None:
    with run.data.cursor() as cursor:
        began = run.begin()
        cursor.execute(f"DO SLEEP({run.seconds:.3f})")  # BLOCK
        run.end(began, now())


def _s3(setup: Setup) -> Any:
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "corpus", "aws_secret_access_key": "corpus", "region_name": "us-east-1"}
    address = f"http://{HOST}:{setup.services['http']}"
    client = boto3.client("s3", endpoint_url=address, config=Config(s3={"addressing_style": "path"}), **keys)
    client.get_object(Bucket="corpus", Key="wait-0")
    return client


@case("network", modules=("boto3",), service="http", make=_s3)
def boto3_get_object(run: Run) -> None:
    key = f"wait-{run.wait_ms}"
    began = run.begin()
    run.data.get_object(Bucket="corpus", Key=key)  # BLOCK
    run.end(began, now())


QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT sum(i * i % 7) FROM n"


def _memory_database(setup: Setup) -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


@case("native", small=True, size=500_000, make=_memory_database)
def sqlite3_query(run: Run) -> None:
    """SQLite computes, in C and with the GIL released."""
    began = run.begin()
    run.data.execute(QUERY, (run.size,)).fetchone()  # BLOCK
    run.end(began, now())


def _two_connections(setup: Setup) -> tuple[sqlite3.Connection, str]:
    path = str(setup.folder / "busy.db")
    ours = sqlite3.connect(path, timeout=10, isolation_level=None)
    ours.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER)")
    return ours, path


def _locked_by_another(run: Run) -> None:
    locked = threading.Event()

    def hold() -> None:
        other = sqlite3.connect(run.data[1], isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(run.seconds)
        other.execute("COMMIT")
        other.close()

    threading.Thread(target=hold).start()
    locked.wait()


# Two honest answers: what it waits for is another connection's lock, and the way in which SQLite waits for a lock is
# to sleep and look again.
@case("lock", "sleep", make=_two_connections, prepare=_locked_by_another)
def sqlite3_database_locked(run: Run) -> None:
    database, _ = run.data
    began = run.begin()
    database.execute("INSERT INTO items VALUES (1)")  # BLOCK
    run.end(began, now())
