"""Which test a block is charged to."""


def test_edges(sessions):
    """Blocks in the last callback, before a return, in a task that is cancelled at the end, and in asyncio.run's shutdown count."""
    source = """
        import asyncio, time, pytest

        async def test_returns():
            time.sleep(0.12)
            return None

        async def test_last_callback():
            loop = asyncio.get_running_loop()
            loop.call_soon(time.sleep, 0.12)

        def test_cancelled():
            async def stubborn():
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    time.sleep(0.12)
                    raise
            async def main():
                asyncio.get_running_loop().keep = asyncio.create_task(stubborn())
                await asyncio.sleep(0)
            asyncio.run(main())

        async def test_innocent():
            await asyncio.sleep(0.01)
    """

    session = sessions.gate(source, "-Wignore")

    assert session.verdicts() == {
        "test_returns": "blocked",
        "test_last_callback": "blocked",
        "test_cancelled": "blocked",
        "test_innocent": "clean",
    }


LATE = """
    import asyncio, time

    kept = []

    async def late():
        await asyncio.sleep(0.02)
        time.sleep(0.15)

    async def test_leaves_a_task():
        kept.append(asyncio.create_task(late()))

    async def test_innocent():
        await asyncio.sleep(0.1)
"""


def test_late_task(sessions):
    """A task that outlives its test and blocks during another is the first one's error; the other passes."""
    sessions.pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\nasyncio_mode = 'auto'\nasyncio_default_test_loop_scope = 'module'\n"
    )

    session = sessions.gate(LATE)

    assert session.verdicts() == {"test_leaves_a_task": "blocked", "test_innocent": "clean"}
    assert session.outcomes() == {"passed": 2, "errors": 1}
    assert session.result.ret == 1
    session.result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leaves_a_task*",
            "In a task that this test left behind, while *test_innocent ran: *",
        ]
    )


def test_late_task_in_a_worker(sessions):
    """So it is with pytest-xdist, whose workers may only report on the test that they run."""
    sessions.pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\nasyncio_mode = 'auto'\nasyncio_default_test_loop_scope = 'module'\n"
    )

    session = sessions.gate(LATE, "-n1", plugins=("asyncio", "xdist"))

    assert session.verdicts() == {"test_leaves_a_task": "blocked", "test_innocent": "clean"}
    assert session.outcomes() == {"passed": 2, "errors": 1}


def test_tasks_of_fixtures_serve_the_test_that_runs(sessions):
    """What a wider fixture's task blocks is charged to the test that ran meanwhile."""
    sessions.pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\nasyncio_mode = 'auto'\nasyncio_default_test_loop_scope = 'module'\n"
        "asyncio_default_fixture_loop_scope = 'module'\n"
    )
    source = """
        import asyncio, time, pytest

        @pytest.fixture(scope="module")
        async def worker():
            jobs = asyncio.Queue()
            async def work():
                while True:
                    time.sleep(await jobs.get())
                    jobs.task_done()
            task = asyncio.create_task(work())
            yield jobs
            task.cancel()

        async def test_innocent(worker):
            worker.put_nowait(0)
            await worker.join()

        async def test_guilty(worker):
            worker.put_nowait(0.15)
            await worker.join()
    """

    assert sessions.gate(source).verdicts() == {"test_innocent": "clean", "test_guilty": "blocked"}


def test_server_in_a_thread(sessions):
    """A loop that serves many tests from its own thread: each block goes to the test that called for it."""
    source = """
        import asyncio, threading, time, pytest

        @pytest.fixture(scope="session")
        def server():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            yield loop
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        async def block(seconds):
            time.sleep(seconds)

        def test_guilty(server):
            asyncio.run_coroutine_threadsafe(block(0.15), server).result()

        def test_innocent(server):
            asyncio.run_coroutine_threadsafe(block(0), server).result()

        def test_returns_before_it_ends(server):
            asyncio.run_coroutine_threadsafe(block(0.3), server)
            time.sleep(0.1)

        def test_waits_for_the_other(server):
            asyncio.run_coroutine_threadsafe(block(0), server).result()
    """

    session = sessions.gate(source, plugins=())

    assert session.verdicts() == {
        "test_guilty": "blocked",
        "test_innocent": "clean",
        "test_returns_before_it_ends": "blocked",
        "test_waits_for_the_other": "clean",
    }
