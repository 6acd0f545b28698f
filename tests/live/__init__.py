"""loopwatch attached to real servers and real processes: real loops, real blocks, waits bounded by timeouts."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.processes", f"{__name__}.watching")
