"""How much people have to read: what passes, what is held back, and that all of it is told in the end."""

from facts import frame, ongoing, stall
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.quotas import BURST, FORGOTTEN_AFTER, LONGEST_PAUSE_S, Bucket, Quotas
from loopwatch.records import Cause, Holder

REPEAT_S = 60.0
FORGOTTEN_S = FORGOTTEN_AFTER * REPEAT_S


def used_up(quotas, fingerprint="0123456789ab", now=0.0):
    """The first records of a fingerprint have passed."""
    for number in range(BURST):
        assert quotas.pass_on(stall(id=f"first-{number}", fingerprint=fingerprint), now) is not None
    return quotas


def passed(quotas, stalls, now=0.0):
    """The ids of those that pass."""
    return [one.id for one in stalls if quotas.pass_on(one, now) is not None]


# ── a bucket ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bucket():
    """It starts full, never holds more than a minute's worth, and says when there will be a token."""
    bucket = Bucket(per_minute=2)

    assert [bucket.take(1000), bucket.take(1000), bucket.take(1000)] == [True, True, False]
    assert bucket.next_s(1000) == 1030
    assert [bucket.take(1029), bucket.take(1030), bucket.take(1030)] == [False, True, False]
    assert [bucket.take(9999), bucket.take(9999), bucket.take(9999)] == [True, True, False]


@given(st.integers(1, 100), st.lists(st.floats(0, 120), max_size=40))
def test_bucket_says_when(per_minute, pauses):
    """At the time that it names there is a token, however it was used before."""
    bucket, now = Bucket(per_minute), 0.0
    for pause in pauses:
        now += pause
        bucket.take(now)

    assert bucket.take(max(now, bucket.next_s(now)))


# ── one fingerprint ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_ones_pass():
    """The first few of a fingerprint pass; the next one that does tells how many did not, and their time."""
    quotas = used_up(Quotas(REPEAT_S))

    held_back = [quotas.pass_on(stall(100.0 + number), 1.0) for number in range(3)]
    after = quotas.pass_on(stall(), REPEAT_S)

    assert held_back == [None] * 3
    assert (after.suppressed_count, after.suppressed_ms) == (3, 100 + 101 + 102)
    assert quotas.pass_on(stall(), 3 * REPEAT_S).suppressed_count == 0


def test_pauses_double():
    """While a fingerprint keeps coming, its records come at doubling intervals, up to an hour; it is never silenced for good."""
    quotas = Quotas(REPEAT_S)

    told = [now for now in range(0, 30_000, 10) if quotas.pass_on(stall(), float(now)) is not None]

    assert told[:BURST] == [0, 10, 20, 30, 40]
    pauses = [later - earlier for earlier, later in zip(told[BURST - 1 :], told[BURST:], strict=False)]
    assert pauses == [60, 120, 240, 480, 960, 1920] + [LONGEST_PAUSE_S] * 7


def test_begins_anew():
    """A fingerprint that was not heard of for a while begins anew."""
    quotas = used_up(Quotas(REPEAT_S))
    assert quotas.pass_on(stall(), 1.0) is None

    quotas.pass_time(1.0 + FORGOTTEN_S)

    used_up(quotas, now=1.0 + FORGOTTEN_S)


def test_worse_passes():
    """The first record that is worse than all before passes, also within a pause; the next one like it does not."""
    quotas = used_up(Quotas(REPEAT_S))

    assert passed(quotas, [stall(1500, id="error"), stall(1500, id="again"), stall(20_000, id="critical")]) == [
        "error",
        "critical",
    ]


def test_each_fingerprint_for_itself():
    """A frequent fingerprint does not hide a rare one."""
    quotas = used_up(Quotas(REPEAT_S), fingerprint="often")

    stalls = [stall(id="often", fingerprint="often"), stall(id="seldom", fingerprint="seldom")]
    assert passed(quotas, stalls) == ["seldom"]


# ── all together ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_together():
    """So many a minute, however many fingerprints there are; what is held back is told with the next record of any."""
    quotas = Quotas(records=3)

    assert passed(quotas, [stall(id=str(n), fingerprint=str(n)) for n in range(10)]) == ["0", "1", "2"]
    after = quotas.pass_on(stall(fingerprint="other"), 20.0)
    assert (after.suppressed_count, after.suppressed_ms) == (7, 2800)


def test_forgotten_fingerprint():
    """What was held back of a fingerprint that had to make room is told with the next record of any."""
    quotas = used_up(Quotas(keep=1), fingerprint="a")
    assert quotas.pass_on(stall(fingerprint="a"), 0.0) is None

    assert quotas.pass_on(stall(fingerprint="b"), 0.0).suppressed_count == 1


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_told_at_last():
    """Where no other record comes, the latest that was held back is told, with the count of the others."""
    quotas = used_up(Quotas(REPEAT_S))
    assert passed(quotas, [stall(100, id="x"), stall(200, id="y"), stall(300, id="z")], 7.0) == []

    assert quotas.due(7.0) == 7 + FORGOTTEN_S
    assert quotas.pass_time(6.9 + FORGOTTEN_S) == []
    (told,) = quotas.pass_time(7.0 + FORGOTTEN_S)

    assert (told.id, told.suppressed_count, told.suppressed_ms) == ("z", 2, 300)
    assert quotas.due(999.0) is None


def test_flood_told_at_last():
    """What the common limit held back is told as soon as that allows a record."""
    quotas = Quotas(records=2)
    passed(quotas, [stall(id=str(n), fingerprint=str(n)) for n in range(5)])

    assert quotas.due(0.0) == 30
    (told,) = quotas.pass_time(30.0)

    assert (told.id, told.suppressed_count, told.suppressed_ms) == ("4", 2, 800)


def test_closed():
    """At the end all that was held back is told in one record."""
    quotas = used_up(used_up(Quotas(), "a"), "b")
    passed(quotas, [stall(id=f"{name}{n}", fingerprint=name) for n in range(2) for name in "ab"])

    (told,) = quotas.close(1.0)

    assert told.suppressed_count == 3
    assert quotas.close(1.0) == []


def test_adjusted():
    """Other limits hold from now on."""
    quotas = Quotas(records=1, stacks=1)
    passed(quotas, [stall()])
    quotas.adjust(1.0, 60, 60)

    assert quotas.pass_on(stall(), 1.0).stack


# ── announcements ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_announced_is_also_ended():
    """What was announced is also told when it has ended, whatever the limits say; what was not, is not."""
    quotas = Quotas(records=1)

    assert quotas.pass_on(ongoing(id="told"), 0.0) is not None
    assert quotas.pass_on(ongoing(id="held"), 0.0) is None
    assert quotas.pass_on(ongoing(2000, id="told"), 0.0) is not None
    assert quotas.owes("told")
    assert not quotas.owes("held")
    assert passed(quotas, [stall(id="held"), stall(id="told")]) == ["told"]
    assert not quotas.owes("told")


def test_announced_and_then_allowed():
    """The end of what was announced is told also where it turned out to be allowed; else such a stall is none to be told."""
    quotas = Quotas()
    quotas.pass_on(ongoing(id="told"), 0.0)

    assert quotas.pass_on(stall(id="told", allowed="warm-up"), 0.0) is not None
    assert quotas.pass_on(stall(id="other", cause=Cause.SUSPENDED), 0.0) is None
    assert quotas.close(0.0) == []


def test_announcement_held_back():
    """A stall whose announcement was held back is counted once, when it has ended."""
    quotas = used_up(Quotas())
    quotas.pass_on(ongoing(900), 0.0)
    quotas.pass_on(ongoing(990), 0.0)
    quotas.pass_on(stall(999), 0.0)

    assert quotas.pass_on(stall(), REPEAT_S).suppressed_count == 1


# ── stacks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stacks():
    """Beyond the limit on stacks records pass without theirs, and say so; one that has none uses up nothing."""
    quotas = Quotas(stacks=1)
    holder = Holder("reports", 88, (frame("render"),))

    bare, full, cut = (
        quotas.pass_on(stall(stack=()), 0.0),
        quotas.pass_on(stall(), 0.0),
        quotas.pass_on(stall(holder=holder), 0.0),
    )

    assert (bare.stack_omitted, full.stack_omitted, len(full.stack)) == (False, False, 2)
    assert (cut.stack_omitted, cut.stack, cut.holder) == (True, (), Holder("reports", 88, ()))
    assert quotas.pass_on(stall(), 60.0).stack


# ── whatever happens ────────────────────────────────────────────────────────────────────────────────────────────────

steps = st.lists(
    st.tuples(
        st.sampled_from(["ended", "ongoing", "time"]),
        st.integers(0, 5),
        st.sampled_from("abcd"),
        st.sampled_from([150, 1500, 15_000]),
        st.sampled_from([0.0, 0.1, 5.0, 61.0, 400.0]),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))
def test_every_stall_is_told_once(steps, records, keep, stacks):
    """Records that pass and those that they say were held back are all stalls, once each; and what was announced has one end."""
    quotas, now, told, ended, ended_ms, generation = Quotas(REPEAT_S, records, stacks, keep), 0.0, [], 0, 0, [0] * 6
    for kind, number, fingerprint, ms, pause in steps:
        now += pause
        name = f"{number}.{generation[number]}"
        if kind == "time":
            told += quotas.pass_time(now)
            continue
        one = (ongoing if kind == "ongoing" else stall)(ms, id=name, fingerprint=fingerprint)
        record = quotas.pass_on(one, now)
        told += [record] if record is not None else []
        if kind == "ended":
            generation[number] += 1
            ended, ended_ms = ended + 1, ended_ms + ms
    told += quotas.close(now)

    ends = [one.id for one in told if not one.ongoing]
    assert len(ends) == len(set(ends))
    assert len(ends) + sum(one.suppressed_count for one in told) == ended
    assert sum(one.duration_ms for one in told if not one.ongoing) + sum(one.suppressed_ms for one in told) == ended_ms
    under_way = {f"{number}.{count}" for number, count in enumerate(generation)}
    assert {one.id for one in told if one.ongoing} <= set(ends) | under_way


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200), st.integers(1, 5))
def test_never_more_than_the_limit(pauses, records):
    """However stalls come, all different, no more than twice the limit pass in any minute: what was saved up and what came in."""
    quotas, now, times = Quotas(records=records), 0.0, []
    for number, pause in enumerate(pauses):
        now += pause
        times += [now] * len(quotas.pass_time(now))
        times += [now] if quotas.pass_on(stall(fingerprint=str(number)), now) is not None else []

    assert all(sum(start <= time < start + 60 for time in times) <= 2 * records for start in times)


def test_hundred_thousand_fingerprints():
    """Very many fingerprints use little memory, and few of them are told; all are counted."""
    quotas, told, flood = Quotas(records=30), [], 100_000
    model = stall(150)

    for number in range(flood):
        now = number / 1000
        told += quotas.pass_time(now)
        record = quotas.pass_on(_with(model, f"{number}"), now)
        told += [record] if record is not None else []
    told += quotas.close(flood / 1000)

    assert len(quotas._spacings) <= 1000
    assert len(told) <= 30 + 100 * 30 / 60 + 1
    assert len(told) + sum(one.suppressed_count for one in told) == flood


def _with(model, fingerprint):
    """A stall like `model`: `replace` would take most of the test's time."""
    one = object.__new__(type(model))
    for name in model.__slots__:
        object.__setattr__(one, name, getattr(model, name))
    object.__setattr__(one, "fingerprint", fingerprint)
    return one
