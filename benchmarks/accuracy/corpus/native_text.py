"""The thread computes in C: text, serialization, compression. One call, with the GIL or without it."""

import ast
import base64
import json
import lzma
import pickle
import random
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections import Counter
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL


def _readings(setup: Setup) -> dict[str, list[float]]:
    """Few containers and many numbers, so that the garbage collector has no part in it."""
    source = random.Random(7)
    return {f"sensor {number}": [source.random() for _ in range(1000)] for number in range(setup.size)}


@case("native", places=ALL, small=True, size=300, make=_readings)
def json_dumps(run: Run) -> None:
    began = run.begin()
    run.kept = json.dumps(run.data)  # BLOCK
    run.end(began, now())


@case("native", small=True, size=300, make=lambda setup: json.dumps(_readings(setup)))
def json_loads(run: Run) -> None:
    began = run.begin()
    run.kept = json.loads(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=1_000, make=_readings, modules=("orjson",), places=("dependency",))
def orjson_dumps(run: Run) -> None:
    import orjson

    began = run.begin()
    run.kept = orjson.dumps(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=3_000, make=_readings)
def pickle_dumps(run: Run) -> None:
    began = run.begin()
    run.kept = pickle.dumps(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=3_000, make=lambda setup: pickle.dumps(_readings(setup)), places=("handler",))
def pickle_loads(run: Run) -> None:
    began = run.begin()
    run.kept = pickle.loads(run.data)  # BLOCK
    run.end(began, now())


TRAILING = re.compile(r"\s+$")


@case("native", places=ALL, small=True, size=5_000, degree=2, make=lambda setup: "x" + " " * setup.size + "x")
def re_catastrophic(run: Run) -> None:
    """Stripping trailing white space by a pattern: quadratic in the white space that is not trailing."""
    began = run.begin()
    run.kept = TRAILING.search(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=2_000_000, make=lambda setup: "some words, and numbers 123 " * (setup.size // 28))
def re_findall(run: Run) -> None:
    began = run.begin()
    run.kept = re.findall(r"[a-z]+\d?", run.data)  # BLOCK
    run.end(began, now())


def _bytes(setup: Setup) -> bytes:
    return random.Random(7).randbytes(1000) * (setup.size // 1000) + b"end"


@case("native", size=5_000_000, make=lambda setup: json.dumps(_bytes(setup).hex()).encode())
def zlib_compress(run: Run) -> None:
    """Releases the GIL."""
    began = run.begin()
    run.kept = zlib.compress(run.data, 6)  # BLOCK
    run.end(began, now())


@case("native", size=500_000, make=_bytes, places=("call_later",))
def lzma_compress(run: Run) -> None:
    began = run.begin()
    run.kept = lzma.compress(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=100_000_000, make=_bytes, places=("dependency",))
def base64_encode(run: Run) -> None:
    began = run.begin()
    run.kept = base64.b64encode(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=100_000_000, make=_bytes, places=("async_generator",))
def bytes_hex(run: Run) -> None:
    """A method of a built-in type."""
    began = run.begin()
    run.kept = run.data.hex()  # BLOCK
    run.end(began, now())


@case("native", size=5_000_000, make=lambda setup: struct.pack(f"{setup.size}d", *range(setup.size)), places=("handler",))
def struct_unpack(run: Run) -> None:
    shape = f"{run.size}d"
    began = run.begin()
    run.kept = struct.unpack(shape, run.data)  # BLOCK
    run.end(began, now())


def _markup(setup: Setup) -> bytes:
    return b"<items>" + b"<item id='1'>some text</item>" * setup.size + b"</items>"


# Parsing makes one object per element. They are tracked by the collector, which may have a share in it, but not most.
@case("native", size=100_000, make=_markup, places=("handler",))
def elementtree_fromstring(run: Run) -> None:
    began = run.begin()
    ElementTree.fromstring(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=100_000, make=_markup, modules=("lxml.etree",), places=("call_soon",))
def lxml_fromstring(run: Run) -> None:
    import lxml.etree

    began = run.begin()
    run.kept = lxml.etree.fromstring(run.data)  # BLOCK
    run.end(began, now())


@case("native", size=5_000, make=lambda setup: "total = total + price * count\n" * setup.size, places=("handler",))
def compile_source(run: Run) -> None:
    began = run.begin()
    compile(run.data, "<report>", "exec", flags=ast.PyCF_ONLY_AST)  # BLOCK
    run.end(began, now())


def _letters(setup: Setup) -> Any:
    return "".join(random.Random(7).choices("abcdefghij", k=setup.size))


@case("native", size=3_000_000, make=_letters, places=("data_received",))
def counter(run: Run) -> None:
    began = run.begin()
    run.kept = Counter(run.data)  # BLOCK
    run.end(began, now())
