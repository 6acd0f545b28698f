"""Opening and reading files of procfs without giving up the GIL.

`os.open` and `os.pread` give it up around the system call, and under load get it back 5 ms later: in that time the loop runs on,
and what the watchdog reads no longer belongs to the stack it has just walked. A file of procfs is answered by the kernel in some
ten microseconds, so it is read through `ctypes.PyDLL`, which keeps the GIL.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable

__all__ = ["close", "open_file", "read"]

MAX_BYTES = 256
FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
Open = Callable[[str], int | None]
Read = Callable[[int], bytes]


def close(descriptor: int | None) -> None:
    """Give a descriptor back."""
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _keeping_gil() -> tuple[Open, Read] | None:
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.PyDLL(None)
        c_open, pread = library.open, library.pread
    except (OSError, AttributeError):
        return None
    c_open.restype, c_open.argtypes = ctypes.c_int, (ctypes.c_char_p, ctypes.c_int)
    pread.restype, pread.argtypes = ctypes.c_ssize_t, (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)

    def open_(path: str) -> int | None:
        descriptor: int = c_open(os.fsencode(path), FLAGS)
        return None if descriptor < 0 else descriptor

    def read(descriptor: int) -> bytes:
        into = ctypes.create_string_buffer(MAX_BYTES)
        length = pread(descriptor, into, MAX_BYTES, 0)
        return into.raw[:length] if length > 0 else b""

    return open_, read


def _open_giving_up_gil(path: str) -> int | None:
    try:
        return os.open(path, FLAGS)
    except OSError:
        return None


def _read_giving_up_gil(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, MAX_BYTES, 0)
    except OSError:
        return b""


_open, _read = _keeping_gil() or (_open_giving_up_gil, _read_giving_up_gil)


def open_file(path: str) -> int | None:
    """A descriptor for `read`; None where there is no such file."""
    return _open(path)


def read(descriptor: int | None) -> bytes:
    """The file's first bytes; empty where it is not open, or its thread has ended."""
    return b"" if descriptor is None else _read(descriptor)
