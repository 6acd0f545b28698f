"""One operator that computes in C and holds the GIL for all of it.

The interpreter looks for a pending switch after a call into C, but not after an operator: a thread that waits for the
GIL sees the frame some instructions later. The labelled line is the operator's all the same.
"""

from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now


def _digits(setup: Setup) -> int:
    return int.from_bytes(b"\x9d" * setup.size, "big")


@case("native", operator=True, small=True, size=500_000, degree=1.58)
def power(run: Run) -> None:
    exponent = run.size
    began = run.begin()
    run.kept = 7**exponent  # BLOCK
    run.end(began, now())


@case("native", operator=True, size=200_000, degree=1.58, make=_digits)
def multiplication(run: Run) -> None:
    number = run.data
    began = run.begin()
    run.kept = number * (number + 1)  # BLOCK
    run.end(began, now())


@case("native", operator=True, size=20_000, degree=2, make=_digits, places=("dependency",))
def remainder(run: Run) -> None:
    number, divisor = run.data, _half(run.data)
    began = run.begin()
    run.kept = number % divisor  # BLOCK
    run.end(began, now())


def _half(number: int) -> int:
    return (number >> (number.bit_length() // 2)) | 1


def _points(setup: Setup) -> list[Any]:
    return [(number % 7, 1, 2) for number in range(setup.size)]


@case("native", operator=True, small=True, size=2_000_000, make=_points)
def membership(run: Run) -> None:
    points, wanted = run.data, (8, 1, 2)
    began = run.begin()
    run.kept = wanted in points  # BLOCK
    run.end(began, now())


@case("native", operator=True, size=2_000_000, make=lambda setup: (_points(setup), _points(setup)), places=("call_later",))
def equality(run: Run) -> None:
    one, other = run.data
    began = run.begin()
    run.kept = one == other  # BLOCK
    run.end(began, now())


def _contains(points: list[Any], wanted: Any) -> bool:
    return wanted in points  # BLOCK


@case("native", operator=True, size=2_000_000, make=_points, via=(_contains,))
def last_act_of_a_function(run: Run) -> None:
    """Its frame is gone before anyone can look; the caller's line is not wrong."""
    began = run.begin()
    run.kept = _contains(run.data, (8, 1, 2))  # BLOCK
    run.end(began, now())


@case("native", operator=True, size=200_000_000, places=("async_generator",))
def string_repetition(run: Run) -> None:
    began = run.begin()
    run.kept = "ab" * run.size  # BLOCK
    run.end(began, now())


@case("native", operator=True, size=20_000_000, make=lambda setup: list(range(1000)) * (setup.size // 1000))
def list_concatenation(run: Run) -> None:
    numbers = run.data
    began = run.begin()
    run.kept = numbers + numbers  # BLOCK
    run.end(began, now())


@case("native", operator=True, size=500_000, make=lambda setup: ({*range(setup.size)}, {*range(0, 2 * setup.size, 2)}))
def set_intersection(run: Run) -> None:
    one, other = run.data
    began = run.begin()
    run.kept = one & other  # BLOCK
    run.end(began, now())


def _build(run: Run) -> None:
    """Many objects that the garbage collector does not track: it is not what this case is about."""
    run.kept = [f"item {number}" for number in range(run.size)]


def _build_and_free(run: Run) -> None:
    _build(run)
    freeing(run)


# The last reference goes away on the measured line: nobody calls anything, the assignment frees them all.
@case("native", operator=True, size=2_000_000, prepare=_build, work=_build_and_free, places=("handler",))
def freeing(run: Run) -> None:
    began = run.begin()
    run.kept = None  # BLOCK
    run.end(began, now())
