"""Settings: four sources, one order of precedence, and errors that say what was wrong, where, and what would be right."""

import math

import pytest

from loopwatch.errors import LoopwatchError, SettingError
from loopwatch.settings import Settings, changed, find_project, resolve

NO_PROJECT = ("", {})


def project(**table):
    """A `[tool.loopwatch]` that was read."""
    return "/srv/pyproject.toml", table


def resolved(keywords=None, environ=None, table=None):
    """Settings from just these sources."""
    return resolve(keywords or {}, environ or {}, NO_PROJECT if table is None else project(**table))


# ── sources and their order ─────────────────────────────────────────────────────────────────────────────────────────


def test_defaults():
    """With no source at all the documented defaults hold."""
    assert resolved() == Settings(
        threshold_ms=100.0,
        ongoing_ms=1000.0,
        sinks=("structlog",),
        app_packages=(),
        session=None,
        sentinel=False,
        grace_ms=0.0,
        repeat_ms=60_000.0,
        records_per_minute=30,
        stacks_per_minute=10,
        quiet_ms=60_000.0,
        max_frames=64,
        max_samples=200,
        keep=1000,
    )


def test_precedence():
    """A keyword beats the environment, which beats the project's file, which beats the default."""
    table = {"threshold_ms": 10, "keep": 11, "max_frames": 12}
    environ = {"LOOPWATCH_THRESHOLD_MS": "20", "LOOPWATCH_KEEP": "21"}

    found = resolved({"threshold_ms": 30}, environ, table)

    assert (found.threshold_ms, found.keep, found.max_frames, found.max_samples) == (30.0, 21, 12, 200)


def test_process_environment(monkeypatch):
    """Where no environment is given, the process's own is read."""
    monkeypatch.setenv("LOOPWATCH_THRESHOLD_MS", "42")

    assert resolve({}).threshold_ms == 42.0


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("LOOPWATCH_THRESHOLD_MS", "2.5", "threshold_ms", 2.5),
        ("LOOPWATCH_ONGOING_MS", "none", "ongoing_ms", None),
        ("LOOPWATCH_ONGOING_MS", "Off", "ongoing_ms", None),
        ("LOOPWATCH_SINKS", "structlog, logging", "sinks", ("structlog", "logging")),
        ("LOOPWATCH_SINKS", ",", "sinks", ()),
        ("LOOPWATCH_APP_PACKAGES", "shop,shop_admin", "app_packages", ("shop", "shop_admin")),
        ("LOOPWATCH_SENTINEL", "0", "sentinel", False),
        ("LOOPWATCH_GRACE_MS", "1e4", "grace_ms", 10_000.0),
        ("LOOPWATCH_RECORDS_PER_MINUTE", "5", "records_per_minute", 5),
        ("LOOPWATCH_SATURATED_MS", "off", "saturated_ms", None),
        ("LOOPWATCH_ENABLED", "0", "enabled", False),
        ("LOOPWATCH_VERBOSE", "1", "verbose", True),
        ("LOOPWATCH_MAX_FRAMES", " 32 ", "max_frames", 32),
    ],
)
def test_environment_is_text(variable, text, name, value):
    """Every kind of setting can be written in an environment variable."""
    assert getattr(resolved(environ={variable: text}), name) == value


@pytest.mark.parametrize("variable", ["LOOPWATCH_REQUIRE_SERVICES", "LOOPWATCHER", "PATH"])
def test_foreign_variables(variable):
    """A variable that is no setting is nobody's business, whatever it says."""
    assert resolved(environ={variable: "nonsense"}) == Settings()


def test_blank_variable():
    """An empty variable sets nothing."""
    assert resolved(environ={"LOOPWATCH_THRESHOLD_MS": "  "}) == Settings()


def test_callable_sink():
    """A sink may be a callable, alone or beside names."""
    assert resolved({"sinks": print}).sinks == (print,)
    assert resolved({"rules": print}).rules == (print,)
    assert resolved({"sinks": ["logging", print]}).sinks == ("logging", print)


@pytest.mark.parametrize(("name", "value"), [("session", "run.loopwatch")])
def test_not_yet(name, value):
    """A setting of the contract that this version does not serve is refused in words, not ignored."""
    with pytest.raises(SettingError, match=f"invalid {name} .* this version cannot do that yet; leave it out"):
        resolved({name: value})


def test_nanoseconds():
    """Inside, milliseconds are whole nanoseconds."""
    found = Settings(threshold_ms=0.5, ongoing_ms=None)

    assert (found.threshold_ns, found.ongoing_ns) == (500_000, None)
    assert Settings(ongoing_ms=2).ongoing_ns == 2_000_000
    assert (Settings(saturated_ms=2).saturated_ns, Settings(saturated_ms=None).saturated_ns) == (2_000_000, None)


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG = [
    ("threshold_ms", "fast", "milliseconds above 0"),
    ("threshold_ms", 0, "milliseconds above 0"),
    ("threshold_ms", -1, "milliseconds above 0"),
    ("threshold_ms", math.nan, "milliseconds above 0"),
    ("threshold_ms", math.inf, "milliseconds above 0"),
    ("threshold_ms", True, "milliseconds above 0"),
    ("threshold_ms", None, "milliseconds above 0"),
    ("ongoing_ms", 0, "or None"),
    ("ongoing_ms", "soon", "or None"),
    ("sinks", 5, "structlog"),
    ("sinks", [""], "structlog"),
    ("rules", "by name", "callables"),
    ("rules", [5], "callables"),
    ("app_packages", ["not a name"], "import names"),
    ("app_packages", [3], "import names"),
    ("session", "", "a file's path"),
    ("session", 3, "a file's path"),
    ("sentinel", "perhaps", "true or false"),
    ("sentinel", 1, "true or false"),
    ("max_frames", 3, "4 or more"),
    ("max_frames", True, "4 or more"),
    ("max_samples", 1.5, "2 or more"),
    ("keep", 0, "1 or more"),
    ("grace_ms", -1, "milliseconds, from 0"),
    ("grace_ms", math.nan, "milliseconds, from 0"),
    ("repeat_ms", 0, "milliseconds above 0"),
    ("quiet_ms", 0, "milliseconds above 0"),
    ("records_per_minute", 0, "1 or more"),
    ("stacks_per_minute", -1, "0 or more"),
]


@pytest.mark.parametrize("value", ["structlog:https://host/secret", ["structlog", "structlog:secret"]])
def test_what_a_sink_is_given_is_not_shown(value):
    """What follows a sink's name may hold a secret: no message repeats it."""
    with pytest.raises(SettingError) as caught:
        resolved({"sinks": value})

    assert "structlog:..." in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("name", "value", "remedy"), WRONG)
def test_wrong_keyword(name, value, remedy):
    """A wrong keyword is named with its value, its source and the remedy."""
    with pytest.raises(SettingError) as caught:
        resolved({name: value})

    message = str(caught.value)
    assert f"{name} {value!r} from a keyword argument" in message
    assert remedy in message


@pytest.mark.parametrize(("name", "value", "remedy"), [row for row in WRONG if isinstance(row[1], str) and row[1]])
def test_wrong_variable(name, value, remedy):
    """A wrong environment variable is named as it was written."""
    variable = f"LOOPWATCH_{name.upper()}"

    with pytest.raises(SettingError) as caught:
        resolved(environ={variable: value})

    assert f"{name} {value!r} from {variable}" in str(caught.value)
    assert remedy in str(caught.value)


def test_wrong_in_project():
    """A wrong value in a file is named with the file."""
    with pytest.raises(
        SettingError, match=r"invalid keep -1 from \[tool.loopwatch\] in /srv/pyproject.toml; .*1 or more"
    ):
        resolved(table={"keep": -1})


def test_wrong_although_overruled():
    """A wrong value is an error even where a better source overrules it: nobody would find it otherwise."""
    with pytest.raises(SettingError, match="LOOPWATCH_KEEP"):
        resolved({"keep": 5}, {"LOOPWATCH_KEEP": "few"})


def test_unknown_name():
    """An unknown setting is refused with the names that there are."""
    with pytest.raises(SettingError, match=r"unknown setting 'threshold' from a keyword argument; .*threshold_ms"):
        resolved({"threshold": 50})
    with pytest.raises(
        SettingError, match=r"unknown setting 'treshold_ms' from \[tool.loopwatch\] in /srv/pyproject.toml"
    ):
        resolved(table={"treshold_ms": 50})


def test_kind_of_error():
    """A wrong setting is one of loopwatch's errors, and a ValueError."""
    assert issubclass(SettingError, LoopwatchError)
    assert issubclass(SettingError, ValueError)


# ── looking for pyproject.toml ──────────────────────────────────────────────────────────────────────────────────────


def test_nearest_file(tmp_path):
    """The nearest pyproject.toml at or above the folder counts, and only that."""
    inner = tmp_path / "service" / "app"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.loopwatch]\nkeep = 1\n")
    (tmp_path / "service" / "pyproject.toml").write_text("[tool.loopwatch]\nkeep = 2\n")

    assert find_project(inner) == (str(tmp_path / "service" / "pyproject.toml"), {"keep": 2})


def test_nearest_file_without_table(tmp_path):
    """A nearer file without the table ends the search: another project's settings do not apply."""
    inner = tmp_path / "service"
    inner.mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.loopwatch]\nkeep = 1\n")
    (inner / "pyproject.toml").write_text("[project]\nname = 'service'\n")

    assert find_project(inner)[1] == {}


def test_current_folder(tmp_path, monkeypatch):
    """Without a word about the project, the search begins in the current folder."""
    (tmp_path / "pyproject.toml").write_text("[tool.loopwatch]\nthreshold_ms = 25\nsinks = ['logging']\n")
    monkeypatch.chdir(tmp_path)

    found = resolve({})

    assert (found.threshold_ms, found.sinks) == (25.0, ("logging",))


def test_broken_file(tmp_path):
    """A file that is no TOML is named, with the remedy."""
    (tmp_path / "pyproject.toml").write_text("[tool.loopwatch\n")

    with pytest.raises(SettingError, match=r"cannot read .*pyproject.toml: .*; mend the file"):
        find_project(tmp_path)


@pytest.mark.parametrize("text", ["[tool]\nloopwatch = 5\n", "tool = 5\n"])
def test_no_table(tmp_path, monkeypatch, text):
    """Where the file has something else in the table's place, that is an error that names the file."""
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingError, match=r"pyproject.toml"):
        resolve({})


def test_unreadable_file(tmp_path):
    """A file that is no text is not ours to complain about."""
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")

    assert find_project(tmp_path) == ("", {})


def test_deleted_folder(tmp_path, monkeypatch):
    """A current folder that has been deleted has no settings, and does no harm."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert resolve({}) == Settings()
    monkeypatch.chdir(tmp_path)


# ── while a watch runs ──────────────────────────────────────────────────────────────────────────────────────────────


def test_changed():
    """What may change does, as it would be written anywhere; the rest stays."""
    found = changed(Settings(keep=5), {"threshold_ms": "250", "ongoing_ms": None})

    assert found == Settings(keep=5, threshold_ms=250.0, ongoing_ms=None)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"keep": 5}, "cannot change keep of a watch that runs, only .*threshold_ms; close it and make another"),
        ({"threshold_ms": 0}, "invalid threshold_ms 0 from a keyword argument"),
        ({"treshold_ms": 5}, "unknown setting 'treshold_ms'"),
    ],
)
def test_wrong_change(keywords, words):
    """What may not change, cannot be used or does not exist is refused in words."""
    with pytest.raises(SettingError, match=words):
        changed(Settings(), keywords)
