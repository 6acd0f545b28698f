"""What makes two stalls the same incident: cause, module, function and the call. No line numbers, no addresses."""

import hashlib
from collections.abc import Sequence

from loopwatch.records import Cause, Origin, Share

__all__ = ["fingerprint_of"]


def fingerprint_of(cause: Cause, origin: Origin | None, shares: Sequence[Share]) -> str:
    """12 hexadecimal digits, stable over runs, machines and edits elsewhere in the file."""
    parts = [cause.value]
    if origin is not None:
        parts += [origin.module or origin.file.rpartition("/")[2], origin.function, origin.call or ""]
    elif shares and cause is Cause.OVERLOAD:
        parts += sorted({share.origin.function for share in shares[:3]})
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:12]
