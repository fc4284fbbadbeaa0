"""The run as a whole: its state, its coordinator, the governor's window, what is left to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from monitoring.metrics.families import counter, gauge, moment, one
from monitoring.status.status import Status
from replank.plan.operation.governor_plan import GovernorPlan
from replank.values.states import RunState
from sql.catalogue.catalogue import read_server
from sql.health.health_signals import Machine, Reading, read_health
from sql.health.server_machine import local_data_directory
from sql.ledger.reading import deliveries, metrics
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.leader_lock import read_leader


def of_run(connection: Connection, status: Status) -> Iterator[Metric]:
    """State, flags, times and the time left."""
    run = status.run
    yield gauge(
        "replank_run_info",
        "The newest run of this database; the value is always 1.",
        ["run", "plan"],
        [((str(run.run_id), run.plan_name), 1)],
    )
    states = [((str(state),), float(state is run.state)) for state in RunState]
    yield gauge("replank_run_state", "1 for the run's present state, 0 for all others.", ["state"], states)
    needs_operator = run.state is RunState.NEEDS_OPERATOR
    yield one("replank_run_needs_operator", "Whether the run has stopped and needs the operator.", needs_operator)
    yield one("replank_run_paused", "Whether an operator has paused the run.", run.paused)
    yield one("replank_run_cutover_held", "Whether an operator holds the cutover.", run.hold_cutover)
    yield moment("replank_run_start_timestamp_seconds", "When the run began.", run.created_at)
    yield moment("replank_run_end_timestamp_seconds", "When the run ended; no sample before.", run.finished_at)
    verdict = status.headlines[0]
    yield gauge(
        "replank_verdict_info",
        "The first headline of `status` and the page; the value is always 1.",
        ["weight", "kind"],
        [((verdict.weight, verdict.kind), 1)],
    )
    bounds = () if status.eta_s is None else zip(("low", "high"), status.eta_s, strict=True)
    yield gauge(
        "replank_eta_seconds",
        "Seconds that are left, as an interval; no sample while there is no pace.",
        ["bound"],
        [((bound,), found) for bound, found in bounds],
    )
    advice = None if status.workers is None else status.workers.recommended
    yield one("replank_recommended_processes", "The recommended number of worker processes; `status` says why.", advice)
    still_open = sum(gate.is_open for gate in status.gates)
    yield one("replank_gates_open", "Gates of the plan that were open when they were last checked.", still_open)
    words = "Events of the run, by kind."
    events = metrics.count_events(connection, run.run_id)
    yield counter("replank_events_total", words, ["kind"], [((kind,), count) for kind, count in events.items()])
    by_state = deliveries.count_by_state(connection, run.run_id)
    words = "Notifications of events to receivers; `trying` ones were not accepted yet, `given_up` ones never will be."
    yield gauge("replank_notifications", words, ["state"], [((state,), count) for state, count in by_state.items()])


def of_drivers(connection: Connection, run: Run) -> Iterator[Metric]:
    """Whether a coordinator is running, how many children work, and when the last progress was."""
    alive = read_leader(connection) is not None
    yield one("replank_coordinator_alive", "Whether a coordinator (or a rollback) is running on this database.", alive)
    sessions = metrics.worker_sessions(connection)
    yield one("replank_worker_processes", "Worker processes that are connected to the database.", sessions)
    pulse = metrics.read_pulse(connection, run.run_id)
    yield moment(
        "replank_last_progress_timestamp_seconds",
        "When a job was done, a table changed its state, or an event was written last.",
        pulse.moved_at,
    )
    oldest = 0.0 if pulse.oldest_lease is None else (pulse.now - pulse.oldest_lease).total_seconds()
    yield one("replank_oldest_lease_seconds", "How long the oldest running job has taken so far.", oldest)
    yield moment(
        "replank_window_change_timestamp_seconds", "When the governor's window last changed.", pulse.window_changed_at
    )


def of_surroundings(status: Status) -> Iterator[Metric]:
    """What is beside the database: the broker, as the coordinator saw it last, workers by queue, wrong logins."""
    signs = status.signs
    if signs is None:
        return
    broker = signs.broker
    yield one(
        "replank_broker_answers",
        "Whether the broker answered the coordinator when it asked last; no sample before the first time.",
        None if broker is None else broker.answers,
    )
    yield moment(
        "replank_broker_seen_timestamp_seconds",
        "When the coordinator asked the broker last.",
        None if broker is None else broker.seen_at,
    )
    yield gauge(
        "replank_queue_late_jobs",
        "Jobs that were sent to a queue at least five seconds ago, or twice, and that no worker has begun.",
        ["queue"],
        [((queue.name,), queue.late) for queue in signs.queues],
    )
    logins = signs.logins
    yield counter(
        "replank_wrong_logins_total",
        "Wrong logins at the run page since its server began; `refused` ones came too fast to be compared.",
        ["outcome"],
        [] if logins is None else [(("compared",), logins.count - logins.refused), (("refused",), logins.refused)],
    )


def of_governor(connection: Connection, run: Run) -> Iterator[Metric]:
    """The window, and each signal against its limit, read at this moment: also when no coordinator lives."""
    yield one("replank_window_jobs", "Jobs that may be in flight now.", run.window_now)
    yield one("replank_window_max_jobs", "The most jobs that the plan or an operator allows.", run.window_max)
    cause = (str(run.window_cause or "none"), run.window_signal)
    words = "Why the window is what it is; the value is always 1."
    yield gauge("replank_window_cause_info", words, ["cause", "signal"], [(cause, 1)])
    worst = _worst(read_health(connection, _without_probe(run.plan.governor), _machine(connection)))
    yield gauge(
        "replank_signal_readable",
        "Whether a signal of the database's health can be read; 0 closes the window.",
        ["signal"],
        [((one.signal,), float(not one.problem)) for one in worst],
    )
    readable = [one for one in worst if not one.problem]
    yield gauge(
        "replank_signal_strain_ratio",
        "A signal as a share of its limit; over 1 the window is halved.",
        ["signal"],
        [((one.signal,), one.strain) for one in readable],
    )
    unit = "bytes for replay_lag, slot_retained, archive_waiting and free_disk, otherwise sessions or transactions"
    yield gauge(
        "replank_signal_value",
        f"A signal of the database's health in its own unit: {unit}.",
        ["signal"],
        [((one.signal,), one.value) for one in readable],
    )
    yield gauge(
        "replank_signal_limit",
        f"The limit of a signal, from the plan, in the same unit: {unit}.",
        ["signal"],
        [((one.signal,), one.limit) for one in readable],
    )


def _without_probe(plan: GovernorPlan) -> GovernorPlan:
    """The application's own probe query is the coordinator's to ask, not once more with every scrape."""
    return plan.model_copy(update={"off": (*plan.off, "probe")})


def _machine(connection: Connection) -> Machine:
    directory = local_data_directory(connection, read_server(connection).system_identifier)
    return Machine(cpus=os.cpu_count() if directory else None, data_directory=directory)


def _worst(readings: Sequence[Reading]) -> list[Reading]:
    """Of several replicas or slots, the one that decides."""
    found: dict[str, Reading] = {}
    for reading in readings:
        present = found.get(reading.signal)
        if present is None or reading.problem or reading.strain > present.strain:
            found[reading.signal] = reading
    return list(found.values())
