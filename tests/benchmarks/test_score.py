"""The accuracy benchmark's score: pure functions over hand-made truths and reports."""

import json
from dataclasses import replace

import pytest

from benchmarks.accuracy import corpus  # noqa: F401  (registers the cases)
from benchmarks.accuracy.case import CASES
from benchmarks.accuracy.facts import Outcome, Report, Truth, outcome_from_json, outcome_to_json
from benchmarks.accuracy.labels import doubts
from benchmarks.accuracy.places import PLACES
from benchmarks.accuracy.score import judge, percentile, tally
from benchmarks.accuracy.tables import document
from loopwatch.records import Cause

MS = 1_000_000
FILE = "/srv/app/views.py"


def truth(start_ms: int = 1000, duration_ms: int = 250, **vitals: int) -> Truth:
    return Truth(start_ms * MS, (start_ms + duration_ms) * MS, "handler", **vitals)


def report(start_ms: int = 1000, duration_ms: float = 250.0, line: int | None = 7, **said: object) -> Report:
    values: dict[str, object] = {"file": FILE, "cause": "sleep", "exact": True, "timing_exact": True, **said}
    return Report(start_ms * MS, duration_ms, line=line, **values)  # type: ignore[arg-type]


def outcome(truths: list[Truth], reports: list[Report], **labels: object) -> Outcome:
    values: dict[str, object] = {"causes": ("sleep",), "lines": ((FILE, 7),), **labels}
    made = Outcome("sleeps/time_sleep", "asyncio", "3.12.1", "loopwatch", **values)  # type: ignore[arg-type]
    return replace(made, truths=tuple(truths), reports=tuple(reports))


class TestJudge:
    def test_all_right(self) -> None:
        """A stall that is reported once, with its line, cause and duration, is flawless."""
        judged = judge(outcome([truth()], [report(duration_ms=251.0)]), 100)

        [hit] = judged.hits
        assert judged.flawless
        assert (hit.line, hit.among, hit.cause, hit.error_ms) == (True, True, True, 1.0)

    def test_missed(self) -> None:
        """A truth without a report is a miss, and says nothing of line or cause."""
        judged = judge(outcome([truth()], []), 100)

        [hit] = judged.hits
        assert not judged.flawless
        assert (hit.report, hit.line, hit.cause, hit.error_ms) == (None, None, None, None)

    def test_too_short_to_count(self) -> None:
        """A truth that is less than one poll over the threshold need not be reported, and may be."""
        both = (judge(outcome([truth(duration_ms=110)], reports), 100) for reports in ([], [report(duration_ms=110)]))

        assert all(judged.hits == () and judged.false == () for judged in both)

    def test_late_report(self) -> None:
        """A detector that learns of a stall at its next tick is not punished for it."""
        judged = judge(outcome([truth()], [report(start_ms=1290, duration_ms=0.0)]), 100)

        assert len(judged.hits[0].reports) == 1

    def test_stray_report(self) -> None:
        """A report far from every truth is false."""
        judged = judge(outcome([truth()], [report(), report(start_ms=2000)]), 100)

        assert len(judged.false) == 1
        assert len(judged.hits[0].reports) == 1

    def test_stray_report_that_blames_the_machine(self) -> None:
        """On a shared machine the loop may be starved at any moment: that blames no code."""
        judged = judge(outcome([], [report(cause="starved")], expect="silence", causes=()), 100)

        assert (judged.false, len(judged.machine)) == ((), 1)

    def test_reported_twice(self) -> None:
        """Two reports of one stall: it is detected, not reported once, and the longer one is judged."""
        short, long = report(duration_ms=100, line=8), report(start_ms=1100, duration_ms=150)

        [hit] = judge(outcome([truth()], [short, long]), 100).hits

        assert (len(hit.reports), hit.report, hit.line) == (2, long, True)

    def test_nearest_truth(self) -> None:
        """Reports belong to the truth that they overlap most."""
        truths = [truth(1000), truth(1300)]

        judged = judge(outcome(truths, [report(1290), report(1005)]), 100)

        assert [hit.report and hit.report.start_ns // MS for hit in judged.hits] == [1005, 1290]

    def test_candidates(self) -> None:
        """The right line among the candidates is not a right headline."""
        [hit] = judge(outcome([truth()], [report(line=9, exact=False, candidates=(8, 7))]), 100).hits

        assert (hit.line, hit.among) == (False, True)

    def test_same_line_of_another_file(self) -> None:
        """A line number is right in its own file only."""
        [hit] = judge(outcome([truth()], [report(file="/srv/app/models.py")]), 100).hits

        assert hit.line is False

    def test_no_line_to_blame(self) -> None:
        """Where no line is labelled, none is scored."""
        [hit] = judge(outcome([truth()], [report(line=None)], lines=()), 100).hits

        assert (hit.line, hit.among) == (None, None)

    def test_no_line_named(self) -> None:
        """A detector that names no line where there is one to blame is wrong about it."""
        [hit] = judge(outcome([truth()], [report(file=None, line=None)]), 100).hits

        assert hit.line is False

    def test_two_honest_causes(self) -> None:
        """Where two causes are honest, each is right."""
        [hit] = judge(outcome([truth()], [report(cause="lock")], causes=("lock", "sleep")), 100).hits

        assert hit.cause is True

    def test_starved_meanwhile(self) -> None:
        """A third of the time on the run queue makes "starved" honest, whatever the label says."""
        starved = truth(runqueue_ns=100 * MS)

        [hit] = judge(outcome([starved], [report(cause="starved")]), 100).hits

        assert hit.cause is True

    def test_a_stopped_process(self) -> None:
        """The stop of the whole process is not to be reported, as whatever it may be."""
        stopped = outcome([truth()], [report(cause="suspended")], expect="silence", causes=("suspended",))

        judged = judge(stopped, 100)

        assert (judged.hits, len(judged.false), judged.flawless) == ((), 1, False)


class TestTally:
    def test_sums(self) -> None:
        """Every pair counts the right ones and all that could be."""
        right = judge(outcome([truth()], [report(duration_ms=252.0)]), 100)
        wrong = judge(outcome([truth(), truth(2000)], [report(line=9, exact=False, cause="lock")]), 100)

        sums = tally([right, wrong])

        assert (sums.cases, sums.detected, sums.once) == (2, [2, 3], [2, 3])
        assert (sums.line_exact, sums.line_all, sums.cause) == ([1, 1], [1, 2], [1, 2])
        assert sorted(sums.errors_exact_ms) == [0.0, 2.0]
        assert sums.confusion == {("sleep", "sleep"): 1, ("sleep", "lock"): 1, ("sleep", "(missed)"): 1}

    def test_operators_apart(self) -> None:
        """Operators count in "all lines" only."""
        sums = tally([judge(outcome([truth()], [report(line=8)], operator=True), 100)])

        assert (sums.line_all, sums.line_plain) == ([0, 1], [0, 0])

    @pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)])
    def test_percentile(self, share: float, expected: float) -> None:
        """A percentile is one of the values, never between two."""
        assert percentile([4.0, 2.0, 1.0, 3.0], share) == expected

    def test_percentile_of_nothing(self) -> None:
        """No values, no percentile."""
        assert percentile([], 0.5) is None


class TestOutcome:
    def test_round_trip(self) -> None:
        """An outcome survives JSON."""
        made = outcome([truth(cpu_ns=3)], [report(candidates=(7, 8))])

        assert outcome_from_json(json.loads(json.dumps(outcome_to_json(made)))) == made


class TestDocument:
    def test_lists_what_was_not_right(self) -> None:
        """The document names each failure, and what could not run."""
        bad = judge(outcome([truth()], [report(line=9)]), 100)
        skipped = judge(replace(outcome([], []), skipped="no postgres server here"), 100)

        text = document([bad, skipped], "## Accuracy")

        assert "sleeps/time_sleep (handler, 250 ms): line views.py:9 (exact)" in text
        assert "skipped sleeps/time_sleep: no postgres server here" in text


class TestDoubts:
    def test_a_wait_that_computes(self) -> None:
        """A label is doubted when the blocker's own vitals speak against it."""
        [doubt] = doubts(outcome([truth(cpu_ns=200 * MS, runqueue_ns=0, others_cpu_ns=0)], []))

        assert "waiting, with 80% CPU" in doubt


class TestCorpus:
    def test_labels(self) -> None:
        """Every label is a cause, every place exists, and a stall has a label."""
        causes = {cause.value for cause in Cause}

        for case in CASES.values():
            assert case.causes <= causes
            assert set(case.places) <= set(PLACES)
            assert case.causes or case.expect == "silence"

    def test_size(self) -> None:
        """The corpus keeps at least 70 blockers, and covers every cause that can be made to happen."""
        blockers = [case for case in CASES.values() if case.expect == "stall"]

        assert len(blockers) >= 70
        assert {cause for case in CASES.values() for cause in case.causes} == {cause.value for cause in Cause} - {
            "unknown"
        }
