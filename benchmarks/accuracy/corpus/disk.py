"""The thread waits for a file: its data, its disk, its lock, or the other end of a pipe."""

import fcntl
import mmap
import os
import shutil
import subprocess
import sys
import threading
import time
from io import BufferedWriter
from pathlib import Path
from typing import IO, Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL

MEGABYTE = 1 << 20


def _big_file(setup: Setup) -> Path:
    path = setup.folder / "big"
    with path.open("wb") as file:
        for _ in range(setup.size):
            file.write(os.urandom(1024) * 1024)
        os.fsync(file.fileno())
    return path


# A read that the page cache answers is a copy by the CPU, inside a system call on a file. Both answers are honest.
@case("disk", "native", size=400, make=_big_file, places=("handler",))
def read_bytes_cached(run: Run) -> None:
    began = run.begin()
    run.kept = run.data.read_bytes()  # BLOCK
    run.end(began, now())


def _read_cold(run: Run) -> None:
    run.given = _forget(run)
    read_cold(run)


def _forget(run: Run) -> mmap.mmap:
    """Has the kernel drop the file from the page cache; returns room to read it into."""
    with run.data.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return mmap.mmap(-1, run.size * MEGABYTE)  # unlike a bytearray, it is not cleared with the GIL held


# The same from the disk itself: waiting where the disk is slower than the copy, copying where it is not.
@case("disk", "native", size=200, make=_big_file, prepare=_forget, work=_read_cold, places=("handler",))
def read_cold(run: Run) -> None:
    with open(run.data, "rb", buffering=0) as file:
        began = run.begin()
        file.readinto(run.given)  # BLOCK
        run.end(began, now())


def _unwritten(run: Run) -> BufferedWriter:
    """A file with data that is not yet on the disk."""
    file = (run.data / "journal").open("wb")
    for _ in range(run.size):
        file.write(os.urandom(1024) * 1024)
    file.flush()
    return file


def _write_and_sync(run: Run) -> None:
    run.given = _unwritten(run)
    fsync(run)


@case("disk", places=ALL, small=True, size=100, make=lambda setup: setup.folder, prepare=_unwritten, work=_write_and_sync)
def fsync(run: Run) -> None:
    began = run.begin()
    os.fsync(run.given.fileno())  # BLOCK
    run.end(began, now())
    run.given.close()


def _fifo(run: Run) -> Path:
    """A FIFO to which another process writes after the wait that this run wants."""
    path = Path(run.data) / f"fifo-{time.monotonic_ns()}"
    os.mkfifo(path)
    return path


def _fed_fifo(run: Run) -> IO[bytes]:
    path = _fifo(run)
    subprocess.Popen(["sh", "-c", f"exec 3>'{path}'; sleep {run.seconds:.3f}; echo late >&3"])
    return path.open("rb")


@case("disk", small=True, make=lambda setup: setup.folder, prepare=_fed_fifo)
def fifo_read(run: Run) -> None:
    began = run.begin()
    run.given.read()  # BLOCK
    run.end(began, now())


def _lonely_fifo(run: Run) -> Path:
    path = _fifo(run)
    subprocess.Popen(["sh", "-c", f"sleep {run.seconds:.3f}; echo late >'{path}'"])
    return path


@case("disk", make=lambda setup: setup.folder, prepare=_lonely_fifo, places=("dependency",))
def fifo_open(run: Run) -> None:
    """Opening a FIFO waits for its other end."""
    began = run.begin()
    file = open(run.given)  # BLOCK
    run.end(began, now())
    file.close()


def _slow_reader(run: Run) -> subprocess.Popen[bytes]:
    """A process that does not read its input for a while: what logging to a stuck pipe meets."""
    code = f"import sys, time; time.sleep({run.seconds + 0.03:.3f}); sys.stdin.buffer.read()"
    return subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE)


@case("disk", prepare=_slow_reader, places=("handler", "call_later"))
def write_to_a_full_pipe(run: Run) -> None:
    pipe = run.given.stdin.fileno()
    began = run.begin()
    os.write(pipe, bytes(MEGABYTE))  # BLOCK
    run.end(began, now())
    run.given.stdin.close()
    threading.Thread(target=run.given.wait).start()


def _locked_file(run: Run) -> IO[Any]:
    """A file that another process has locked."""
    path = Path(run.data) / "lock"
    holder = subprocess.Popen(
        ["flock", str(path), "sh", "-c", f"echo held; sleep {run.seconds:.3f}"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    threading.Thread(target=holder.wait).start()
    return path.open("w")


# Two honest answers: it waits for a lock, and the lock is a file's.
@case("lock", "disk", make=lambda setup: setup.folder, prepare=_locked_file, places=("handler",))
def flock(run: Run) -> None:
    began = run.begin()
    fcntl.flock(run.given, fcntl.LOCK_EX)  # BLOCK
    run.end(began, now())
    run.given.close()


# As for reads: copied by the CPU inside system calls on files (and throttled by the disk once too much is unwritten).
@case("disk", "native", size=200, make=_big_file, places=("handler",))
def shutil_copyfile(run: Run) -> None:
    target = run.data.with_name("copy")
    began = run.begin()
    shutil.copyfile(run.data, target)  # BLOCK
    run.end(began, now())
