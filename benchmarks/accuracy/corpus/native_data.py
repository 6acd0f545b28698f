"""The thread computes in C: numbers, tables, pictures, passwords, models. One call, with the GIL or without it."""

import hashlib
import math
import random
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL

PASSWORD, SALT = b"correct horse", b"0123456789abcdef"


@case("native", places=ALL, small=True, size=300_000)
def pbkdf2(run: Run) -> None:
    """Releases the GIL."""
    began = run.begin()
    run.kept = hashlib.pbkdf2_hmac("sha256", PASSWORD, SALT, run.size)  # BLOCK
    run.end(began, now())


@case("native", size=4, places=("dependency",))
def scrypt(run: Run) -> None:
    began = run.begin()
    run.kept = hashlib.scrypt(PASSWORD, salt=SALT, n=1 << 14, r=8, p=run.size, maxmem=1 << 28)  # BLOCK
    run.end(began, now())


@case("native", size=200_000_000, make=lambda setup: bytes(setup.size), places=("handler",))
def sha256(run: Run) -> None:
    began = run.begin()
    run.kept = hashlib.sha256(run.data).digest()  # BLOCK
    run.end(began, now())


@case("native", size=4096, modules=("bcrypt",))
def bcrypt_hashpw(run: Run) -> None:
    """Its cost is a power of two."""
    import bcrypt

    salt = bcrypt.gensalt(rounds=max(4, round(math.log2(run.size))))
    began = run.begin()
    run.kept = bcrypt.hashpw(PASSWORD, salt)  # BLOCK
    run.end(began, now())


def _hasher(parallelism: int) -> Any:
    def make(setup: Setup) -> Any:
        import argon2

        return argon2.PasswordHasher(time_cost=setup.size, parallelism=parallelism)

    return make


@case("native", size=4, modules=("argon2",), make=_hasher(1), places=("handler",))
def argon2_hash(run: Run) -> None:
    began = run.begin()
    run.kept = run.data.hash(PASSWORD)  # BLOCK
    run.end(began, now())


# With its default of four lanes it computes in threads of its own, for which the calling thread waits: it is native
# code on the CPU, and the calling thread is in a futex. Both are honest.
@case("native", "lock", size=4, modules=("argon2",), make=_hasher(4), places=("call_soon",))
def argon2_in_its_own_threads(run: Run) -> None:
    began = run.begin()
    run.kept = run.data.hash(PASSWORD)  # BLOCK
    run.end(began, now())


@case("native", size=2, modules=("cryptography.hazmat.primitives.asymmetric.rsa",), places=("handler",))
def rsa_keys(run: Run) -> None:
    """Several keys, since the time for one varies tenfold."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    began = run.begin()
    run.kept = [rsa.generate_private_key(65537, 1536) for _ in range(run.size)]  # BLOCK
    run.end(began, now())


def _numbers(setup: Setup) -> list[float]:
    source = random.Random(7)
    return [source.random() for _ in range(setup.size)]


@case("native", small=True, size=300_000, make=_numbers)
def sorted_floats(run: Run) -> None:
    began = run.begin()
    run.kept = sorted(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=5_000_000, make=_numbers, places=("call_later",))
def sum_of_floats(run: Run) -> None:
    began = run.begin()
    run.kept = math.fsum(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=10_000, degree=1.6, places=("call_soon",))
def factorial(run: Run) -> None:
    began = run.begin()
    run.kept = math.factorial(run.size)  # BLOCK
    run.end(began, now())


def _array(setup: Setup) -> Any:
    import numpy

    return numpy.random.default_rng(7).random(setup.size)


@case("native", small=True, size=2_000_000, modules=("numpy",), make=_array)
def numpy_sort(run: Run) -> None:
    import numpy

    began = run.begin()
    run.kept = numpy.sort(run.data, kind="stable")  # BLOCK
    run.end(began, now())


@case("native", size=5_000_000, modules=("numpy",), make=_array, places=("dependency",))
def numpy_cumulative(run: Run) -> None:
    import numpy

    began = run.begin()
    run.kept = numpy.exp(numpy.sin(run.data))  # BLOCK
    run.end(began, now())


def _frame(setup: Setup) -> Any:
    import numpy
    import pandas

    numbers = numpy.random.default_rng(7)
    keys = numbers.integers(0, 1000, setup.size)
    return pandas.DataFrame({"key": keys, "name": [f"name {key}" for key in keys], "value": numbers.random(setup.size)})


@case("native", size=500_000, modules=("pandas",), make=_frame)
def pandas_groupby(run: Run) -> None:
    """pandas' Python layers are thin; the work is in its C."""
    began = run.begin()
    run.kept = run.data.groupby("name")["value"].agg(["mean", "median", "max"])  # BLOCK
    run.end(began, now())


@case("native", size=200_000, modules=("pandas",), make=lambda setup: _frame(setup).to_csv(), places=("handler",))
def pandas_read_csv(run: Run) -> None:
    import io

    import pandas

    began = run.begin()
    run.kept = pandas.read_csv(io.StringIO(run.data))  # BLOCK
    run.end(began, now())


def _picture(setup: Setup) -> Any:
    from PIL import Image

    side = max(64, int(setup.size**0.5))
    return Image.effect_noise((side, side), 50).convert("RGB")


@case("native", size=4_000_000, modules=("PIL.Image",), make=_picture)
def pillow_resize(run: Run) -> None:
    from PIL import Image

    smaller = (run.data.width // 2, run.data.height // 2)
    began = run.begin()
    run.kept = run.data.resize(smaller, Image.Resampling.LANCZOS)  # BLOCK
    run.end(began, now())


def _model(setup: Setup) -> tuple[Any, bytes]:
    import pydantic

    class Item(pydantic.BaseModel):
        id: int
        name: str
        prices: list[float]

    adapter = pydantic.TypeAdapter(list[Item])
    items = [Item(id=number, name=f"name {number}", prices=[0.5] * 50) for number in range(setup.size)]
    return adapter, adapter.dump_json(items)


@case("native", size=5_000, modules=("pydantic",), make=_model)
def pydantic_in(run: Run) -> None:
    adapter, text = run.data
    began = run.begin()
    adapter.validate_json(text)  # BLOCK
    run.end(began, now())


def _items(setup: Setup) -> tuple[Any, list[Any]]:
    adapter, text = _model(setup)
    return adapter, adapter.validate_json(text)


@case("native", size=10_000, modules=("pydantic",), make=_items)
def pydantic_out(run: Run) -> None:
    adapter, items = run.data
    began = run.begin()
    run.kept = adapter.dump_json(items)  # BLOCK
    run.end(began, now())
