"""No collection while frames are walked on 3.11, and the collector is afterwards as it was."""

import gc
import sys

import pytest

from loopwatch.probes.collector import NO_COLLECTION

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="collections wait for the next bytecode from 3.12 on"
)


def test_paused():
    """Within it nothing is collected, also where something fails."""
    with pytest.raises(ZeroDivisionError), NO_COLLECTION:
        assert not gc.isenabled()
        _ = 1 / 0

    assert gc.isenabled()


def test_switched_off_by_the_program():
    """A program that has switched the collector off finds it so afterwards."""
    gc.disable()
    try:
        with NO_COLLECTION:
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
