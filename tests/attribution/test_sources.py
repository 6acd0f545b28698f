"""Code that does not stand in a plain file: run by exec, imported from a zip, or without any source."""

import compileall
import importlib
import sys
import textwrap
import zipfile

import pytest

from loopwatch.records import Cause

from .blame import describe

TEXT = textwrap.dedent(
    """
    import time

    def nap():
        time.sleep(0.2)  # BLOCK
    """
)
LINE = TEXT.splitlines().index("    time.sleep(0.2)  # BLOCK") + 1


@pytest.fixture
def import_fresh(monkeypatch):
    """Imports a module from a folder or zip that is not on the path yet; forgets it afterwards."""

    def import_fresh(where, name):
        monkeypatch.syspath_prepend(str(where))
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return import_fresh


def calling(function):
    """A coroutine function that calls `function`."""

    async def main():
        function()

    return main


def assert_napped(stall, file, *, sources):
    """Asserts that the line of `TEXT` in `file` is blamed, and that its text is one of `sources`."""
    assert stall.cause is Cause.SLEEP
    assert (stall.origin.file, stall.origin.line, stall.origin.function) == (file, LINE, "nap"), describe(stall)
    assert stall.origin.source in sources
    assert stall.origin.exact


def test_exec(stall_of):
    """Code compiled under a name that is no file is blamed by that name and its line; it has no source."""
    namespace = {"__name__": "generated"}
    exec(compile(TEXT, "<generated>", "exec"), namespace)

    stall = stall_of(calling(namespace["nap"]))

    assert_napped(stall, "<generated>", sources=[None])
    assert stall.origin.expression is None


def test_exec_of_a_string(stall_of):
    """`exec` of a plain string is the user's code: it is blamed, not the line that called exec."""

    async def main():
        exec(TEXT + "\nnap()\n", {"__name__": "generated"})

    assert_napped(stall_of(main), "<string>", sources=[None])


def test_generated_code_is_not_mistaken_for_a_file(stall_of, tmp_path, monkeypatch):
    """A file in the working directory that bears the generated code's name does not lend it its lines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "<generated>").write_text("wrong\n" * 10)
    namespace = {"__name__": "generated"}
    exec(compile(TEXT, "<generated>", "exec"), namespace)

    assert_napped(stall_of(calling(namespace["nap"])), "<generated>", sources=[None])


def test_zip(stall_of, import_fresh, tmp_path):
    """Code in a zip is blamed by its path within the zip, with its source where the loader gives it."""
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("zipped_naps.py", TEXT)

    module = import_fresh(archive, "zipped_naps")
    stall = stall_of(calling(module.nap))

    assert_napped(stall, str(archive / "zipped_naps.py"), sources=[None, TEXT.splitlines()[LINE - 1].strip()])


def test_module_without_source(stall_of, import_fresh, tmp_path):
    """A module of which only the byte code is there keeps its file and line, and has no source."""
    source = tmp_path / "compiled_naps.py"
    source.write_text(TEXT)
    compileall.compile_file(source, legacy=True, quiet=2)
    source.unlink()

    module = import_fresh(tmp_path, "compiled_naps")
    stall = stall_of(calling(module.nap))

    assert_napped(stall, str(source), sources=[None])
    assert stall.origin.expression is None


def test_module_changed_on_disk(stall_of, import_fresh, tmp_path):
    """A file that was shortened after its import costs the source, never the line."""
    source = tmp_path / "edited_naps.py"
    source.write_text(TEXT)
    module = import_fresh(tmp_path, "edited_naps")
    source.write_text("# gone\n")

    stall = stall_of(calling(module.nap))

    assert_napped(stall, str(source), sources=[None])
