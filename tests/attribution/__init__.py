"""Does a stall name the right line? Real loops, real blocks, and a marker comment in the source to compare with."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.blame")
