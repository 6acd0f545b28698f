"""The least that an installed loopwatch must do: enable, see one block, name its line, leave nothing behind."""

import asyncio
import threading
import time
from pathlib import Path

import loopwatch

BLOCK_MS = 300


async def handler() -> None:
    time.sleep(BLOCK_MS / 1000)  # the block


def main() -> None:
    assert "site-packages" in Path(loopwatch.__file__).parts, f"not the installed one: {loopwatch.__file__}"
    seen = []
    watch = loopwatch.enable(threshold_ms=100, ongoing_ms=None, sinks=[seen.append])
    asyncio.run(handler())
    assert watch.flush(timeout=10), "not delivered within 10 s"
    loopwatch.disable()

    [stall] = seen
    assert watch.stalls == (stall,), watch.stalls
    assert stall.cause == "sleep", stall
    assert BLOCK_MS * 0.9 <= stall.duration_ms < BLOCK_MS * 10, stall  # a busy machine may stretch it, not shrink it
    assert stall.origin is not None, stall
    assert (stall.origin.function, stall.origin.call) == ("handler", "time.sleep"), stall.origin
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    assert not left, f"threads left behind: {left}"
    print(f"loopwatch {loopwatch.__version__}: {stall.cause}, {stall.duration_ms:.1f} ms, {stall.origin.expression}")


if __name__ == "__main__":
    main()
