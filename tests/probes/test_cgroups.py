"""How long the control group's limit kept the process from running, read from hand-made hierarchies of both versions."""

import pytest

from loopwatch.probes import cgroups
from loopwatch.probes.cgroups import ThrottleProbe


@pytest.fixture
def hierarchy(tmp_path, monkeypatch):
    """Writes files below a root of its own, the process's membership first."""

    def write(membership, files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(cgroups, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "root")
    return write


def throttled():
    """What a new probe says."""
    probe = ThrottleProbe()
    try:
        return probe.throttled_ns()
    finally:
        probe.close()


STAT_2 = "usage_usec 10\nnr_periods 5\nnr_throttled 3\nthrottled_usec 1500\n"
STAT_1 = "nr_periods 5\nnr_throttled 3\nthrottled_time 1500000\n"


def test_version_2(hierarchy):
    """Version 2: microseconds, of the group with the limit."""
    hierarchy("0::/app\n", {"app/cpu.max": "20000 100000\n", "app/cpu.stat": STAT_2})

    assert throttled() == 1_500_000


def test_version_1(hierarchy):
    """Version 1: nanoseconds, in the hierarchy of the cpu controller."""
    files = {"cpu,cpuacct/app/cpu.cfs_quota_us": "20000", "cpu,cpuacct/app/cpu.stat": STAT_1}
    hierarchy("4:memory:/app\n3:cpu,cpuacct:/app\n0::/\n", files)

    assert throttled() == 1_500_000


def test_limit_of_an_outer_group(hierarchy):
    """A limit further out counts where the group itself has none."""
    files = {
        "pod/cpu.max": "50000 100000",
        "pod/cpu.stat": STAT_2,
        "pod/app/cpu.max": "max 100000",
        "pod/app/cpu.stat": "x",
    }
    hierarchy("0::/pod/app\n", files)

    assert throttled() == 1_500_000


def test_container(hierarchy):
    """In a container the path of the group may not exist: its root is the group."""
    hierarchy("0::/docker/4711\n", {"cpu.max": "50000 100000", "cpu.stat": STAT_2})

    assert throttled() == 1_500_000


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("", {}),
        ("nonsense\n", {}),
        ("0::/app\n", {"app/cpu.max": "max 100000", "app/cpu.stat": STAT_2}),
        ("0::/app\n", {"app/cpu.max": "", "app/cpu.stat": STAT_2}),
        ("0::/app\n", {"app/cpu.max": "20000 100000", "app/cpu.stat": "throttled_usec many"}),
        ("0::/app\n", {"app/cpu.max": "20000 100000"}),
    ],
)
def test_unknown(hierarchy, membership, files):
    """Without a limit, or with files of another shape, nothing is known."""
    hierarchy(membership, files)

    assert throttled() is None


def test_no_control_groups(tmp_path, monkeypatch):
    """Nor is it on a system without control groups, and closing twice is no error."""
    monkeypatch.setattr(cgroups, "MEMBERSHIP", tmp_path / "nothing")
    probe = ThrottleProbe()
    probe.close()
    probe.close()

    assert probe.throttled_ns() is None
