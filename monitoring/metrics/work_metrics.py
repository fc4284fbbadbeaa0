"""Jobs and rows: by state, kind and table; how long jobs took; what waits in which queue."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric

from monitoring.metrics.families import counter, gauge
from monitoring.status.queues import Queue
from monitoring.status.status import Status
from replank.values.messages import QUEUE_OF, QUEUES
from replank.values.states import JobKind, JobState, ResendCause
from sql.ledger.reading.metrics import Work

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper ends of the buckets of a job's seconds: a chunk should take about one, an index may take an hour."""

ROW_KINDS = (JobKind.COPY, JobKind.BACKFILL, JobKind.VERIFY)
"""Kinds whose rows mean rows of the table that were worked on."""


def of_sending(queues: Sequence[Queue], resent: Mapping[ResendCause, int]) -> Iterator[Metric]:
    """Who takes what from the broker, and what had to be sent again."""
    yield gauge(
        "replank_queue_processes",
        "Connected worker processes that take jobs from a queue.",
        ["queue"],
        [((each.queue,), each.processes) for each in queues],
    )
    yield counter(
        "replank_jobs_resent_total",
        "Jobs sent again because no worker claimed them in time, by the likely cause.",
        ["cause"],
        [((str(cause),), jobs) for cause, jobs in resent.items()],
    )


def of_jobs(work: Sequence[Work], *, sent: int) -> Iterator[Metric]:
    """Jobs by kind and state, tries after the first one, queues, seconds."""
    by_state: Counter[tuple[str, str]] = Counter({(str(k), str(s)): 0 for k in JobKind for s in JobState})
    retries: Counter[str] = Counter({str(kind): 0 for kind in JobKind})
    for each in work:
        by_state[each.kind, each.state] += each.jobs
        retries[each.kind] += each.retries
    yield gauge("replank_jobs", "Jobs of the run, by kind and state.", ["kind", "state"], by_state.items())
    yield counter(
        "replank_job_retries_total",
        "Retries of jobs, by kind.",
        ["kind"],
        [((kind,), count) for kind, count in retries.items()],
    )
    waiting: Counter[str] = Counter(dict.fromkeys(QUEUES, 0))
    for kind, queue in QUEUE_OF.items():
        waiting[queue] += by_state[str(kind), str(JobState.WAITING)]
    yield gauge(
        "replank_queue_jobs",
        "Jobs that wait, by the queue that they go through; sent to the broker or not yet.",
        ["queue"],
        [((queue,), count) for queue, count in waiting.items()],
    )
    yield gauge("replank_sent_jobs", "Jobs with a message at the broker and no worker yet.", [], [((), sent)])
    yield _durations(work)


def _durations(work: Sequence[Work]) -> Metric:
    family = HistogramMetricFamily(
        "replank_job_duration_seconds", "How long done jobs took, from lease to end, by kind.", labels=["kind"]
    )
    placed: dict[str, Counter[int]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    for each in work:
        if each.bucket is not None:
            placed[each.kind][each.bucket] += each.jobs
            seconds[each.kind] += each.seconds or 0.0  # type: ignore[assignment]
    for kind in map(str, JobKind):
        total, buckets = 0, []
        for place, bound in enumerate([*map(str, BOUNDS_S), "+Inf"]):
            total += placed[kind][place]
            buckets.append((bound, total))
        family.add_metric([kind], buckets, sum_value=seconds[kind])
    return family


def of_tables(work: Sequence[Work], status: Status, names: Mapping[int, str]) -> Iterator[Metric]:
    """Rows by table, and how far each table is."""
    done: Counter[tuple[str, str]] = Counter({(name, "copy"): 0 for name in names.values()})
    for each in work:
        if each.state == JobState.DONE and each.kind in ROW_KINDS and each.table_no is not None:
            done[names[each.table_no], str(each.kind)] += each.rows
    yield counter(
        "replank_rows_total",
        "Rows of done jobs, by table and kind of work; a copy that began again counts again.",
        ["table", "kind"],
        done.items(),
    )
    tables = status.tables
    yield gauge(
        "replank_table_rows", "Rows of a table that are done.", ["table"], [((t.name,), t.rows_done) for t in tables]
    )
    yield gauge(
        "replank_table_expected_rows",
        "Rows that a table is expected to have; an estimate while it is copied.",
        ["table"],
        [((t.name,), t.rows_total) for t in tables],
    )
    yield gauge(
        "replank_table_progress_ratio",
        "How much of a table's whole work is done, 0 to 1.",
        ["table"],
        [((t.name,), t.share) for t in tables],
    )
    yield gauge(
        "replank_table_state_info",
        "The state a table is in; the value is always 1.",
        ["table", "state"],
        [((t.name, t.state), 1) for t in tables],
    )
    yield gauge(
        "replank_table_problems",
        "Whether a problem holds a table back; `replank status` says what.",
        ["table"],
        [((t.name,), float(bool(t.problem))) for t in tables],
    )
    yield gauge(
        "replank_quarantined_rows",
        "Rows of a table that are quarantined.",
        ["table"],
        [((t.name,), t.rows_quarantined) for t in tables],
    )
