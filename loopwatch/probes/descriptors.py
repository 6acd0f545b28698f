"""What a file descriptor of this process is. Linux; None elsewhere."""

import os
import sys

__all__ = ["kind_of", "polled_descriptor"]

_PREFIXES = {"socket:": "socket", "pipe:": "pipe", "anon_inode:[eventpoll]": "eventpoll", "/": "file"}


def kind_of(descriptor: int) -> str | None:
    """ "socket", "pipe", "file", "eventpoll" or "other"; None where it is closed or procfs is missing."""
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None
    return next((kind for prefix, kind in _PREFIXES.items() if target.startswith(prefix)), "other")


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
