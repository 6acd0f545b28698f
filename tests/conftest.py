"""Every test finds a process without loopwatch in it, and leaves it so."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import hypothesis
import pytest

from loopwatch.engine import ENGINE
from loopwatch.probes import allowances
from loopwatch.settings import Settings

# No deadline: the machine that runs the tests may be busy. No database: it would lie in whatever folder pytest runs in.
hypothesis.settings.register_profile("loopwatch", deadline=None, database=None)
hypothesis.settings.load_profile("loopwatch")


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose pyproject.toml, the nearest there is, sets nothing."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "pyproject.toml").write_text("", "utf-8")
    return folder


@pytest.fixture(autouse=True)
def settings_from_nowhere(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    """Neither the environment nor a pyproject.toml has a say."""
    for field in fields(Settings):
        monkeypatch.delenv(f"LOOPWATCH_{field.name.upper()}", raising=False)
    monkeypatch.chdir(elsewhere)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """What loopwatch installs is gone before a test and after it."""
    assert left_behind() == []
    yield
    assert left_behind() == []


def left_behind() -> list[str]:
    """All that an earlier watch left in this process."""
    return [
        *(thread.name for thread in threading.enumerate() if thread.name.startswith("loopwatch")),
        *(f"gc callback {one}" for one in gc.callbacks if _is_ours(one)),
        *(
            f"{kind.__qualname__}.{name}"
            for kind in _loop_classes()
            for name in ("run_forever", "close")
            if _wraps(kind, name)
        ),
        *(f"watched {one.heartbeat.info}" for one in ENGINE.watchdog.watched),
        *(f"subscriber {one}" for one in ENGINE._subscribers),
        *(f"AbstractEventLoop.{name}" for name in vars(asyncio.AbstractEventLoop) if name == "__init_subclass__"),
        *([] if gc.isenabled() else ["the collector switched off"]),
        *(f"allowance {one.reason!r}" for one in allowances._open.values()),
    ]


def _is_ours(callback: object) -> bool:
    return str(getattr(callback, "__module__", "")).partition(".")[0] == "loopwatch"


def _wraps(kind: type, name: str) -> bool:
    return hasattr(getattr(kind, name, None), "__loopwatch__")


def _loop_classes() -> Iterator[type]:
    found = [asyncio.AbstractEventLoop]
    while found:
        kind = found.pop()
        yield kind
        found += kind.__subclasses__()
