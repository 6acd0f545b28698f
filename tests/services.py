"""What a test needs and this machine may lack: then it is skipped, and fails where the run says that all must be there."""

import os
from collections.abc import Sequence

import pytest

__all__ = ["need"]


def need(missing: Sequence[str]) -> None:
    """Skips or fails the test if anything is `missing`."""
    if missing and os.environ.get("LOOPWATCH_REQUIRE_SERVICES") == "1":
        pytest.fail(f"not installed, though LOOPWATCH_REQUIRE_SERVICES=1: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
