"""The thread runs the user's own Python code."""

from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL


@case("python", places=ALL, small=True, size=1_000_000)
def for_loop(run: Run) -> None:
    total = 0
    began = run.begin()
    for number in range(run.size):  # BLOCK
        total += number * number % 7  # BLOCK
    run.end(began, now())


@case("python", size=1_000_000)
def while_loop(run: Run) -> None:
    value, steps = run.size, 0
    began = run.begin()
    while steps < run.size:  # BLOCK
        value = value // 2 if value % 2 == 0 else 3 * value + 1  # BLOCK
        steps += 1  # BLOCK
    run.end(began, now())


@case("python", size=1_000_000)
async def in_the_coroutine(run: Run) -> None:
    total = 0
    began = run.begin()
    for number in range(run.size):  # BLOCK
        total += number & 3  # BLOCK
    run.end(began, now())


def _depth(node: Any) -> int:
    return 0 if node is None else 1 + max(_depth(child) for child in node)  # BLOCK


def _tree(levels: int) -> Any:
    return (None, None) if levels == 0 else (_tree(levels - 1), _tree(levels - 1))


@case("python", size=100, make=lambda setup: _tree(10), via=(_depth,))
def recursion(run: Run) -> None:
    began = run.begin()
    for _ in range(run.size):  # BLOCK
        run.kept = _depth(run.data)  # BLOCK
    run.end(began, now())


def _parse(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")  # BLOCK
    return key.strip().lower(), value.strip()  # BLOCK


def _rows(setup: Setup) -> list[str]:
    return [f"Key {number} = value {number}" for number in range(setup.size)]


@case("python", small=True, size=200_000, make=_rows, via=(_parse,))
def chatty_helper(run: Run) -> None:
    """A helper that is cheap by itself, called very often. Its lines take part in truth, so naming one is not wrong."""
    began = run.begin()
    for text in run.data:  # BLOCK
        _parse(text)  # BLOCK
    run.end(began, now())


@case("python", size=200_000, make=_rows, places=("dependency",), via=(_parse,))
def list_comprehension(run: Run) -> None:
    began = run.begin()
    run.kept = len([key for key, value in map(_parse, run.data) if value])  # BLOCK
    run.end(began, now())


def _words(rows: Any) -> Any:
    for text in rows:  # BLOCK
        yield from text.split()  # BLOCK


def _long(words: Any) -> Any:
    for word in words:  # BLOCK
        if len(word) > 3:  # BLOCK
            yield word  # BLOCK


@case("python", size=200_000, make=_rows, places=("async_generator",), via=(_words, _long))
def generator_chain(run: Run) -> None:
    count = 0
    began = run.begin()
    for _ in _long(_words(run.data)):  # BLOCK
        count += 1  # BLOCK
    run.end(began, now())


class _Vector:
    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y

    def __add__(self, other: "_Vector") -> "_Vector":
        return _Vector(self.x + other.x, self.y + other.y)  # BLOCK


@case("python", size=200_000, places=("call_later",), via=(_Vector.__add__, _Vector.__init__))
def operator_methods(run: Run) -> None:
    """The line has an operator on it; what runs is the class's own Python method."""
    total, step = _Vector(0, 0), _Vector(1, 2)
    began = run.begin()
    for _ in range(run.size):  # BLOCK
        total = total + step  # BLOCK
    run.end(began, now())


# Two honest answers: C code (sorted) that calls back into Python (the key) for every item.
@case("python", "native", size=200_000, make=_rows)
def sorted_by_a_python_key(run: Run) -> None:
    began = run.begin()
    run.kept = sorted(run.data, key=lambda text: text.rpartition(" ")[2][::-1])  # BLOCK
    run.end(began, now())


@case("python", size=1_000_000, places=("data_received",))
def two_phases(run: Run) -> None:
    """A quick first part and a slow second one: the slow one is to be named."""
    began = run.begin()
    few = [number for number in range(run.size // 20)]
    for number in range(run.size):  # BLOCK
        few[number % 1000] = number  # BLOCK
    run.end(began, now())
