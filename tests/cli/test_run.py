"""`loopwatch run`: settings are checked first, then the command runs as if it had been started by itself, and is watched."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

import loopwatch
from loopwatch.cli.run import OPTIONS
from loopwatch.settings import Settings

PATIENCE_S = 60
BLOCKING = """
    import asyncio, time
    async def main():
        time.sleep(0.25)
    asyncio.run(main())
"""


@pytest.fixture
def run(tmp_path):
    """Runs `loopwatch run` with these words; gives the process when it has ended."""

    def run(*words, **environ):
        return subprocess.run(command(*words), capture_output=True, text=True, timeout=PATIENCE_S, **place(environ))

    def place(environ):
        ours = {name: value for name, value in os.environ.items() if not name.startswith("LOOPWATCH_")}
        path = os.pathsep.join(filter(None, [str(Path(loopwatch.__file__).parent.parent), ours.get("PYTHONPATH")]))
        return {"cwd": tmp_path, "env": {**ours, "PYTHONPATH": path, **environ}}

    def command(*words):
        return [sys.executable, "-m", "loopwatch", "run", *words]

    (tmp_path / "pyproject.toml").write_text("")
    run.command, run.place, run.folder = command, place, tmp_path
    return run


def script(folder, source, name="program.py"):
    """A program, written out in the test."""
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return str(path)


# ── options ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_an_option():
    """All but `rules`, which are functions."""
    assert set(OPTIONS) == {field.name for field in fields(Settings)} - {"rules"}


def test_help(run):
    """The help names every option with its default."""
    help_text = run("--help", COLUMNS="200").stdout

    assert all("--" + name.replace("_", "-") in help_text for name in OPTIONS)
    assert "(default 100)" in help_text
    assert "(default structlog)" in help_text


def test_options_reach_the_program(run):
    """Each option is the program's setting, whatever the environment said before."""
    program = script(
        run.folder,
        """
        import loopwatch.auto
        print(loopwatch.auto.watch.settings)
        """,
    )
    options = [
        "--threshold-ms=20", "--ongoing-ms=none", "--saturated-ms=off", "--sinks=logging", "--app-packages=acme,acme_jobs",
        "--max-frames=32", "--max-samples=50", "--keep=7", "--no-sentinel", "--verbose",
    ]  # fmt: skip

    ended = run(*options, "--", sys.executable, program, LOOPWATCH_THRESHOLD_MS="70")

    expected = Settings(
        threshold_ms=20.0, ongoing_ms=None, saturated_ms=None, sinks=("logging",), app_packages=("acme", "acme_jobs"),
        max_frames=32, max_samples=50, keep=7, verbose=True,
    )  # fmt: skip
    assert ended.stdout.strip() == repr(expected), ended.stderr


@pytest.mark.parametrize(
    ("words", "environ", "says"),
    [
        (["--threshold-ms", "fast"], {}, "invalid threshold_ms 'fast'"),
        (["--sinks", "carrier-pigeon"], {}, "invalid sinks"),
        ([], {"LOOPWATCH_KEEP": "none"}, "invalid keep 'none' from LOOPWATCH_KEEP"),
    ],
)
def test_settings_come_first(run, words, environ, says):
    """A setting that cannot be used is said in one line, with exit code 2, and the command does not start."""
    ended = run(*words, "--", sys.executable, "-c", "print('started')", **environ)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"loopwatch: {says}"), ended.stderr
    assert ended.stderr.count("\n") == 1


def test_no_command(run):
    """Without a command it says how to write one."""
    ended = run("--threshold-ms", "50")

    assert ended.returncode == 2
    assert "loopwatch run -- uvicorn app:app" in ended.stderr


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_such_command(run):
    """Exit code 127, as in a shell."""
    ended = run("--", "no-such-server")

    assert (ended.returncode, ended.stderr) == (127, "loopwatch: no such command: no-such-server\n")


def test_cannot_be_run(run):
    """Exit code 126, as in a shell, for a file that is no program."""
    path = run.folder / "serve"
    path.write_text("neither a program nor a script\n")
    path.chmod(0o755)

    ended = run("--", str(path))

    assert ended.returncode == 126
    assert ended.stderr.startswith(f"loopwatch: cannot run {path}: ")


@pytest.mark.parametrize("code", [0, 3])
def test_exit_code(run, code):
    """The exit code is the command's; its words reach it as they are, also further dashes."""
    ended = run(sys.executable, "-c", f"import sys; print(sys.argv[1:]); sys.exit({code})", "--", "--threshold-ms")

    assert (ended.returncode, ended.stdout.strip()) == (code, "['--', '--threshold-ms']"), ended.stderr


def test_signals(run):
    """The command has the process that was started: a signal reaches it, and its end by one is the end of that process."""
    program = script(
        run.folder,
        """
        import asyncio, os
        async def main():
            print(os.getpid(), flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
        """,
    )
    with subprocess.Popen(
        run.command("--", sys.executable, program), stdout=subprocess.PIPE, text=True, **run.place({})
    ) as process:
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == -signal.SIGTERM


def test_script(run):
    """A script that blocks its loop is told of, with its line."""
    program = script(run.folder, BLOCKING)

    ended = run("--", sys.executable, program)

    assert ended.returncode == 0
    assert ended.stderr.count("event_loop_blocked") == 1
    assert f"file={program} line=4 " in ended.stderr


def test_module(run):
    """So is one under `python -m`."""
    script(run.folder, BLOCKING, "shop.py")

    ended = run("--", sys.executable, "-m", "shop", PYTHONPATH=os.pathsep.join([str(run.folder), *sys.path]))

    assert "event_loop_blocked" in ended.stderr
    assert "shop.py line=4 " in ended.stderr


def test_without_a_loop(run):
    """A program without a loop says nothing, and does not even import loopwatch."""
    ended = run("--verbose", "--", sys.executable, "-c", "import sys; print('loopwatch' in sys.modules)")

    assert (ended.stdout, ended.stderr) == ("False\n", "")


def test_says_what_it_watches(run):
    """With --verbose one line per process, when its first loop is watched; without it none."""
    program = script(
        run.folder,
        """
        import asyncio
        for _ in range(3):
            asyncio.run(asyncio.sleep(0.01))
        """,
    )

    told = run("--verbose", "--threshold-ms", "50", "--", sys.executable, program).stderr
    untold = run("--", sys.executable, program).stderr

    assert told.startswith("loopwatch: watching program.py, process ")
    assert told.endswith(": first loop asyncio in MainThread; a turn of 50 ms is a stall\n")
    assert told.count("\n") == 1
    assert untold == ""


@pytest.mark.parametrize("words", [["--no-enabled"], []])
def test_switched_off(run, words):
    """`LOOPWATCH_ENABLED=0`: the command runs, unwatched, with an environment in which nothing points to us."""
    program = script(run.folder, BLOCKING + "    import sys; print(any('bootstrap' in entry for entry in sys.path))\n")

    ended = run(*words, "--", sys.executable, program, **({} if words else {"LOOPWATCH_ENABLED": "0"}))

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False\n", "")


@pytest.mark.parametrize("option", ["-I", "-S"])
def test_python_that_shuts_us_out(run, option):
    """`python -I` and `-S` run as they would, and it is said that they are not watched."""
    ended = run("--", sys.executable, option, "-c", "import asyncio; asyncio.run(asyncio.sleep(0)); print('done')")

    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert f"runs with {option}, which leaves out the way in: it is not watched" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_sitecustomize_that_was_there(run):
    """The environment's own `sitecustomize` still runs."""
    folder = run.folder / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("print('theirs')\n")

    ended = run("--", sys.executable, "-c", "print('mine')", PYTHONPATH=os.pathsep.join([str(folder), *sys.path]))

    assert (
        ended.stdout == "theirs\ntheirs\nmine\n"
    )  # once in `loopwatch run` itself, which has it from its environment, too


def test_beside_the_programs_own(run):
    """A program that enables loopwatch itself, with other settings, is told once of each stall."""
    program = script(
        run.folder,
        """
        import asyncio, time, loopwatch
        loopwatch.enable(threshold_ms=80)
        async def main():
            time.sleep(0.25)
        asyncio.run(main())
        """,
    )

    ended = run("--threshold-ms", "120", "--", sys.executable, program)

    assert ended.returncode == 0
    assert ended.stderr.count("event_loop_blocked") == 1


def test_another_environment(run):
    """A Python in which loopwatch is not installed is said, with the remedy, and runs."""
    elsewhere = run.folder / "elsewhere"
    elsewhere.mkdir()
    program = script(elsewhere, "import asyncio; asyncio.run(asyncio.sleep(0)); print('done')\n")
    # The bootstrap alone, as another environment's Python would see it.
    bootstrap = Path(loopwatch.__file__).parent / "cli" / "bootstrap"

    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    (elsewhere / "loopwatch.py").write_text("raise ModuleNotFoundError(\"No module named 'loopwatch'\")\n")
    ended = subprocess.run(
        [sys.executable, program],
        env={**environ, "PYTHONPATH": os.pathsep.join([str(bootstrap), str(elsewhere)])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert "No module named 'loopwatch'; install it there, too" in ended.stderr


def test_fork(run):
    """A prefork server like celery's or gunicorn's: each child, forked after the imports, tells of its own loop."""
    program = script(
        run.folder,
        """
        import asyncio, os, time

        async def serve():
            time.sleep(0.25)

        children = []
        for _ in range(2):
            child = os.fork()
            if not child:
                asyncio.run(serve())
                raise SystemExit(5)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(*children)
        raise SystemExit(codes != [5, 5])
        """,
    )

    ended = run("--verbose", "--", sys.executable, program)

    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    for child in ended.stdout.split():
        assert [line for line in lines if line.startswith("event_loop_blocked") and f" pid={child} " in f"{line} "]
        assert len([line for line in lines if f"process {child}: first loop" in line]) == 1
    assert len(lines) == 4


def test_a_pool_of_processes(run):
    """So do the workers of multiprocessing, whichever way they are started."""
    program = script(
        run.folder,
        """
        import asyncio, multiprocessing, sys, time

        async def serve():
            time.sleep(0.25)

        def work():
            asyncio.run(serve())

        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                worker = multiprocessing.get_context(method).Process(target=work)
                worker.start()
                worker.join()
                print(worker.pid, worker.exitcode)
        """,
    )

    ended = run("--", sys.executable, program)

    told = [line for line in ended.stderr.splitlines() if line.startswith("event_loop_blocked")]
    workers = [line.split() for line in ended.stdout.splitlines()]
    assert [code for _, code in workers] == ["0", "0", "0"], ended.stderr
    assert [[pid for pid, _ in workers if f" pid={pid} " in f"{line} "] for line in told] == [
        [pid] for pid, _ in workers
    ]
