"""What a file descriptor of this process is, and what is at its other end. Linux; None elsewhere."""

import ctypes
import os
import socket
import struct
import sys

__all__ = ["described", "polled_descriptor"]

_PREFIXES = {"socket:": "socket", "pipe:": "pipe", "anon_inode:[eventpoll]": "eventpoll", "/": "file"}
MAX_ADDRESS = 128
"""Bytes: `struct sockaddr_storage`."""


def described(descriptor: int) -> tuple[str | None, str | None]:
    """What it is ("socket", "pipe", "file", "eventpoll", "other"), and its peer's address or its path; None: not known.

    A descriptor that is closed meanwhile, and perhaps given to something else, is described as what it is now.
    """
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None, None
    kind = next((kind for prefix, kind in _PREFIXES.items() if target.startswith(prefix)), "other")
    return kind, _peer(descriptor) if kind == "socket" else target if kind == "file" else None


def _peer(descriptor: int) -> str | None:
    """The address at the other end of a socket: getpeername(2), straight on the descriptor, which is never taken over."""
    if _getpeername is None:
        return None
    into, length = ctypes.create_string_buffer(MAX_ADDRESS), ctypes.c_uint(MAX_ADDRESS)
    if _getpeername(descriptor, into, ctypes.byref(length)) != 0:
        return None
    try:
        return _address(into.raw[: length.value])
    except (struct.error, ValueError, OSError):
        return None


def _address(raw: bytes) -> str | None:
    """`struct sockaddr` as "10.0.0.5:5432", "[::1]:5432" or a path."""
    (family,) = struct.unpack_from("=H", raw)
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(family, raw[4:8])}:{int.from_bytes(raw[2:4])}"
    if family == socket.AF_INET6:
        return f"[{socket.inet_ntop(family, raw[8:24])}]:{int.from_bytes(raw[2:4])}"
    if family == getattr(socket, "AF_UNIX", None):
        return raw[2:].rstrip(b"\0").decode(errors="replace") or None
    return None


def _libc_getpeername() -> "ctypes._NamedFuncPointer | None":
    if sys.platform != "linux":
        return None
    try:
        return ctypes.PyDLL(None).getpeername  # PyDLL: it never waits, and keeps the GIL
    except (OSError, AttributeError):
        return None


_getpeername = _libc_getpeername()


def polled_descriptor(address: int) -> int | None:
    """The first descriptor of the `struct pollfd` array at `address` (poll(2)) of this process.

    Read through /proc/self/mem: where the memory has gone in the meantime this fails, while a pointer would crash.
    """
    if not address:
        return None
    try:
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return int.from_bytes(os.pread(memory, 4, address), sys.byteorder, signed=True)
    except (OSError, OverflowError):
        return None
    finally:
        os.close(memory)
