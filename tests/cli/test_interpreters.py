"""Options of Python's with which `loopwatch run` cannot get in are found as Python itself reads them."""

import pytest

from loopwatch.cli.interpreters import shuts_us_out


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["-I", "app.py"], "-I"),
        (["-Im", "uvicorn"], "-I"),
        (["-BE", "app.py"], "-E"),
        (["-X", "dev", "-S", "app.py"], "-S"),
        (["-Xdev", "-W", "error", "-u", "-I", "-c", "pass"], "-I"),
        (["app.py", "-I"], None),
        (["-m", "uvicorn", "-I"], None),
        (["-c", "-I"], None),
        (["-mI"], None),
        (["-WI", "app.py"], None),
        (["-uB", "app.py"], None),
        (["--version", "-I"], None),
        (["-", "-I"], None),
        ([], None),
    ],
)
def test_options(words, option):
    """Only Python's own options count: not those of the program, nor the values of others."""
    assert shuts_us_out("/usr/bin/python3.12", words) == option


@pytest.mark.parametrize(
    ("first", "option"),
    [
        ("#!/usr/bin/python3 -I", "-I"),
        ("#! /usr/bin/env -S python3 -Es", "-E"),
        ("#!/usr/bin/python3", None),
        ("#!/bin/sh -E", None),
        ("\x7fELF\x02", None),
        ("", None),
    ],
)
def test_scripts(tmp_path, first, option):
    """A script's first line may have such an option, too."""
    script = tmp_path / "serve"
    script.write_text(first + "\n")

    assert shuts_us_out(str(script), ["-I"]) == option


def test_no_file(tmp_path):
    """What cannot be read keeps nobody out."""
    assert shuts_us_out(str(tmp_path / "nothing"), []) is None
