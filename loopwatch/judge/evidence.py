"""The words in which a verdict gives its figures: one sentence that a reader can check."""

from collections import Counter

from loopwatch.judge.fingerprint import WAITS
from loopwatch.judge.mechanism import LATE_SWITCHES, mechanisms_of
from loopwatch.judge.weights import awaited, kept_by, weigh
from loopwatch.observations import Hold, Observation, Sample, Vitals
from loopwatch.records import Cause, Frame

__all__ = ["ms", "named_thread", "own_doing_words", "protocol_of", "who_ran", "why_starved"]

PROTOCOLS = {
    21: "FTP", 22: "SSH", 25: "SMTP", 53: "DNS", 80: "HTTP", 110: "POP3", 143: "IMAP", 389: "LDAP", 443: "HTTPS", 465: "SMTP",
    587: "SMTP", 636: "LDAP", 993: "IMAP", 995: "POP3", 1433: "SQL Server", 1521: "Oracle", 2181: "ZooKeeper", 3306: "MySQL",
    4222: "NATS", 5432: "PostgreSQL", 5672: "AMQP", 6379: "Redis", 8086: "InfluxDB", 9042: "Cassandra", 9092: "Kafka",
    9200: "Elasticsearch", 11211: "memcached", 27017: "MongoDB",
}  # fmt: skip
"""By the peer's port: the well-known ones of servers that applications talk to."""


def ms(ns: int) -> str:
    """Whole milliseconds, for people."""
    return f"{ns / 1e6:.0f} ms"


def own_doing_words(cause: Cause, agreeing: int, observation: Observation) -> str:
    """What the clock and the samples say of a thread that computed or waited by itself."""
    weights = weigh(observation)
    if weights.cpu_ns is None:
        clock = "this platform has no CPU clock for threads"
    else:
        clock = f"the thread was on the CPU for {ms(weights.cpu_ns)} of {ms(weights.duration_ns)}"
    where = _waited_in(cause, observation) if cause in WAITS or cause is Cause.GIL else _computed_in(cause, observation)
    return f"{clock}; {agreeing} of {len(observation.samples)} samples say {cause.value}{where}{_aside(cause, observation)}"


def _samples_of(cause: Cause, observation: Observation) -> list[Sample]:
    pairs = zip(observation.samples, mechanisms_of(observation), strict=True)
    return [sample for sample, mechanism in pairs if mechanism is cause]


def _computed_in(cause: Cause, observation: Observation) -> str:
    """The function that most of them found running: of C code, the one that was called."""
    leaves = [sample.stack[-1] for sample in _samples_of(cause, observation) if sample.stack]
    names = Counter((leaf.call if cause is Cause.NATIVE else None) or _named(leaf) for leaf in leaves)
    if not names:
        return ""
    ((name, count),) = names.most_common(1)
    return f", {count} of them in {name}"


def _named(frame: Frame) -> str:
    return f"{frame.module}.{frame.function}" if frame.module else frame.function


def _waited_in(cause: Cause, observation: Observation) -> str:
    """The system call that most of them found it in, and what that was about."""
    calls = [sample.syscall for sample in _samples_of(cause, observation) if sample.syscall is not None]
    named = Counter((call.name, call.about) for call in calls if call.name not in ("running", "other"))
    if not named:
        return ""
    (((name, about), _),) = named.most_common(1)
    protocol = protocol_of(observation) if cause is Cause.NETWORK else None
    kind = f" ({protocol})" if protocol else ""
    return f", most often in {name}" + (f" on {about}{kind}" if about else "")


def protocol_of(observation: Observation) -> str | None:
    """What is spoken with the peer that the thread waited for, by its port; None: no peer, or no well-known port."""
    peers = Counter(
        sample.syscall.about
        for sample in observation.samples
        if sample.syscall is not None and sample.syscall.target == "socket" and sample.syscall.about
    )
    if not peers:
        return None
    ((peer, _),) = peers.most_common(1)
    port = peer.rpartition(":")[2]
    return PROTOCOLS.get(int(port)) if port.isdecimal() else None


def _aside(cause: Cause, observation: Observation) -> str:
    weights, vitals = weigh(observation), observation.vitals
    if cause is Cause.NATIVE and weights.late_ns > LATE_SWITCHES * observation.switch_interval_ns:
        return f"; the GIL was kept for {ms(weights.late_ns)}"
    if cause is Cause.GIL and (hold := kept_by(observation)) is not None:
        return f"; {named_thread(hold)} kept it"
    if cause is Cause.LOCK and (hold := awaited(observation)) is not None:
        return f"; it waited for {named_thread(hold)}{_standing(hold)}{_in_turn(hold, observation)}"
    if cause is Cause.DISK and vitals is not None and vitals.major_faults:
        return f"; {vitals.major_faults} page faults had to read from a disk"
    return ""


def named_thread(hold: Hold) -> str:
    """A thread, and for whom it works."""
    return f"thread {hold.thread!r}" + (f" (at work for {hold.request.label})" if hold.request else "")


def _in_turn(hold: Hold, observation: Observation) -> str:
    """For whom a thread waits that is waited for."""
    if hold.waits_for is None:
        return ""
    name, native_id = hold.waits_for
    if native_id == observation.loop.native_id:
        return " and itself waits for this loop: neither can go on"
    return f" and itself waits for thread {name!r}"


def _standing(hold: Hold) -> str:
    """Where a thread stands: its innermost function that is no plumbing of the standard library."""
    frame = next((frame for frame in reversed(hold.stack) if frame.kind != "stdlib"), None)
    return "" if frame is None else f", which was in {frame.function} ({frame.file}:{frame.line})"


def why_starved(vitals: Vitals | None, waited_ns: int) -> str:
    """What the machine says of a wait for a core."""
    throttled, pressure = (None, None) if vitals is None else (vitals.throttled_ns, vitals.cpu_pressure)
    words = [f"; {ms(min(throttled, waited_ns))} of it by the control group's CPU limit"] if throttled else []
    words += [f"; some task waited for a core in {pressure:.0f} % of the last 10 s"] if pressure else []
    return "".join(words)


def who_ran(observation: Observation) -> str:
    """The coroutines, or the innermost user functions, that the samples found running."""
    names = Counter(
        sample.task or (sample.stack[-1].function if sample.stack else "C code") for sample in observation.samples
    )
    return ", ".join(name for name, _ in names.most_common(3))
