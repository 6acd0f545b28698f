"""What makes two stalls the same incident: cause, module, function and the call it waited in. No line numbers, no addresses."""

import hashlib
from collections.abc import Iterable, Sequence

from loopwatch.judge.names import enclosing
from loopwatch.records import Cause, Origin, Share

__all__ = ["WAITS", "digest", "fingerprint_of"]

WAITS = frozenset({Cause.SLEEP, Cause.NETWORK, Cause.DISK, Cause.SUBPROCESS, Cause.LOCK})
"""A wait has one call; a computation is found at whichever of its calls a sample happened to hit."""
MOST = 0.5


def fingerprint_of(cause: Cause, origin: Origin | None, shares: Sequence[Share]) -> str:
    """12 hexadecimal digits, stable over runs, machines and edits elsewhere in the file."""
    parts = [cause.value]
    if origin is not None:
        parts += [origin.module or origin.file.rpartition("/")[2], enclosing(origin.function)]
        parts += [origin.call or ""] if cause in WAITS else []
    elif shares and cause is Cause.OVERLOAD and shares[0].share >= MOST:
        parts += [enclosing(shares[0].origin.function)]
    return digest(parts)


def digest(parts: Iterable[str]) -> str:
    """What stands for these words, in this order, as 12 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:12]
