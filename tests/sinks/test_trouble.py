"""What a sink says and counts when it cannot deliver."""

import threading

from loopwatch.sinks.trouble import Trouble

from .saying import said


def test_outage(caplog):
    """An outage is said when it begins and when it is over, not in between."""
    trouble = Trouble("SlackSink (hooks.slack.com)")
    for _ in range(5):
        trouble.begins("timed out")
    trouble.over()
    trouble.over()

    assert said(caplog) == [
        "loopwatch: SlackSink (hooks.slack.com) cannot deliver: timed out",
        "loopwatch: SlackSink (hooks.slack.com) delivers again",
    ]


def test_losses(caplog):
    """What is lost is said at the 1st, 2nd, 4th, 8th ... record."""
    trouble = Trouble("sink")
    for _ in range(1000):
        trouble.loses(1, "disk is full")

    assert len(said(caplog)) == 1 + 10
    assert said(caplog)[-1] == "loopwatch: sink has lost 512 so far: disk is full"


def test_flapping(caplog):
    """Trouble that comes and goes a thousand times does not fill the log."""
    trouble = Trouble("sink")
    for _ in range(1000):
        trouble.begins("refused")
        trouble.over()

    assert len(said(caplog)) == 2 * 10


def test_owed():
    """What was lost is owed to the next record that gets through, and only once."""
    trouble = Trouble("sink")
    trouble.loses(3, "refused")
    told = trouble.owed
    trouble.loses(2, "refused")
    trouble.over(told)

    assert (told, trouble.owed) == (3, 2)


def test_exact():
    """Nothing is lost of the count of what is lost, whoever counts."""
    trouble = Trouble("sink")
    threads = [threading.Thread(target=lambda: [trouble.loses(1, "x") for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert trouble.owed == 8000


def test_last_word(caplog):
    """What is lost in the end is said whatever the count."""
    trouble = Trouble("sink")
    trouble.loses(5, "refused")
    trouble.loses(1, "the process has ended", at_last=True)

    assert said(caplog)[-1] == "loopwatch: sink has lost 6 so far: the process has ended"
