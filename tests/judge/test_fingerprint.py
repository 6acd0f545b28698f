"""What makes two stalls one incident: what blocked and where, but not on which line, nor on which machine."""

import re

from facts import origin, share

from loopwatch.judge.fingerprint import fingerprint_of
from loopwatch.records import Cause


def of(function="handler", cause=Cause.SLEEP, **fields):
    """The fingerprint of a stall of this origin."""
    return fingerprint_of(cause, origin(function, **fields), ())


def test_form():
    """Twelve hexadecimal digits, the same in every process."""
    assert re.fullmatch("[0-9a-f]{12}", of())
    assert of() == fingerprint_of(Cause.SLEEP, origin(), (share(1.0),))


def test_edited_file():
    """An edit elsewhere in the file moves lines and columns, and the incident stays the same."""
    moved = of(line=99, end_line=99, column=8, end_column=21, source="time.sleep(2)", expression="time.sleep(2)")

    assert moved == of()


def test_other_folder():
    """Where the program is installed makes no difference."""
    assert of(file="/home/me/shop.py") == of(file="/app/shop.py")
    assert of(file="/home/me/shop.py", module=None) == of(file="/app/shop.py", module=None)


def test_unsure_line():
    """Whether the line was certain makes no difference either."""
    assert of(exact=False, candidates=(10, 11)) == of()


def test_what_tells_apart():
    """Cause, module, function and the blocking call each make another incident."""
    different = [
        of(),
        of(cause=Cause.LOCK),
        of("other"),
        of(module="other"),
        of(call="requests.api.get"),
        of(call=None),
    ]

    assert len(set(different)) == len(different)


def test_no_ambiguity():
    """Names do not run into each other."""
    assert of("b.c", module="a") != of("c", module="a.b")


def test_machine_is_one_incident():
    """What no line is to blame for is one incident per cause, whatever was running."""
    assert fingerprint_of(Cause.GC, None, (share(1.0, "one"),)) == fingerprint_of(Cause.GC, None, (share(1.0, "two"),))
    assert fingerprint_of(Cause.GC, None, ()) != fingerprint_of(Cause.STARVED, None, ())


def test_computing():
    """A computation is one incident, at whichever of its calls or comprehensions a sample found it."""
    found = [
        of("total", cause=Cause.PYTHON, call=None),
        of("total", cause=Cause.PYTHON, call="shop.tax"),
        of("total.<locals>.<genexpr>", cause=Cause.PYTHON, call=None),
        of("total.<locals>.<genexpr>.<locals>.<listcomp>", cause=Cause.PYTHON, call="builtins.round"),
    ]

    assert len(set(found)) == 1
    assert of("total.<locals>.<lambda>", cause=Cause.PYTHON) != found[0]


def test_overload():
    """Overload is told apart by the function that took most of it, if there is one."""
    most, half, third = share(0.9, "one"), share(0.4, "two"), share(0.3, "three")
    of_shares = [
        fingerprint_of(Cause.OVERLOAD, None, shares) for shares in ((most, third), (half, third), (third, third))
    ]

    assert of_shares[0] != of_shares[1] == of_shares[2]


def test_any_name():
    """Names that no file system would take, such as lone surrogates, have a fingerprint as well."""
    assert re.fullmatch("[0-9a-f]{12}", of(module=None, file="/srv/\udcff.py"))
