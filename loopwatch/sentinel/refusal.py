"""Where py-spy is, and what to say where it, or the kernel, will not do. Runs in the watched process."""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["allow_tracer", "find_program", "refusal", "why_refused"]

PR_GET_DUMPABLE = 3
PR_SET_PTRACER = 0x59616D61
"""prctl(2): "Yama"."""
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def find_program(folders: Iterable[Path] | None = None) -> str | None:
    """py-spy's path: beside this Python, where pip puts it, or on PATH; None: it is not installed.

    Args:
        folders: Where to look before PATH; None: this Python's own folders.
    """
    if folders is None:
        folders = (Path(sys.executable).parent, Path(sys.prefix, "bin"), Path(sys.exec_prefix, "bin"))
    for folder in folders:
        path = folder / "py-spy"
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    import shutil

    return shutil.which("py-spy")


def allow_tracer(process: int) -> None:
    """Let that process, and those it starts, read this one's memory where Yama would forbid it; 0: nobody any more.

    Without Yama the kernel knows no such call, and none is needed.
    """
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(process), 0, 0, 0)


def why_refused() -> str:
    """Why the sentinel may not read this process, and what to set."""
    try:
        scope: int | None = int(YAMA.read_text())
    except (OSError, ValueError):
        scope = None
    return refusal(scope, ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)


def refusal(scope: int | None, dumpable: bool) -> str:
    """One sentence.

    Args:
        scope: Yama's `kernel.yama.ptrace_scope`; None where there is no Yama.
        dumpable: Whether the process may be looked into by others of its user (prctl(2), PR_SET_DUMPABLE).
    """
    if not dumpable:
        why, remedy = (
            "it is not dumpable, like any that has changed its user since it was started",
            "start it as the user that it is to run as, or give it CAP_SYS_PTRACE",
        )
    elif scope == 3:  # noqa: PLR2004
        why, remedy = "kernel.yama.ptrace_scope is 3", "boot with another value, such as 1"
    elif scope == 2:  # noqa: PLR2004
        why, remedy = "kernel.yama.ptrace_scope is 2", "sysctl kernel.yama.ptrace_scope=1, or give it CAP_SYS_PTRACE"
    else:
        why, remedy = "the container or sandbox forbids ptrace", "start the container with --cap-add=SYS_PTRACE"
    return (
        f"loopwatch: the sentinel may not read this process ({why}): lines of stalls under a held GIL stay inferred; "
        f"{remedy}"
    )
