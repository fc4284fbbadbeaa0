-- The ledger: the only truth about a run. Only sql/ledger/ reads and writes these tables.

CREATE TABLE replank.run (
    run_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_name     text NOT NULL,
    plan_digest   text NOT NULL,
    plan          jsonb NOT NULL,
    state         text NOT NULL DEFAULT 'running'
                  CHECK (state IN ('running', 'needs_operator', 'done', 'rolling_back', 'rolled_back', 'finished')),
    reason        text NOT NULL DEFAULT '',
    rollback_to       text,
    hold_cutover  boolean NOT NULL DEFAULT false,
    window_now    integer NOT NULL,
    window_max    integer NOT NULL,
    window_cause  text CHECK (window_cause IN ('over', 'near', 'unread', 'raised', 'limit', 'paused')),
    window_signal text NOT NULL DEFAULT '',
    window_reason text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at   timestamptz
);

-- Two runs at once on one database would capture and swap each other's tables.
CREATE UNIQUE INDEX one_open_run ON replank.run ((true)) WHERE state IN ('running', 'needs_operator', 'rolling_back');

CREATE TABLE replank.phase (
    run_id      bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    phase       integer NOT NULL,
    name        text NOT NULL,
    started_at  timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (run_id, phase)
);

CREATE TABLE replank.step (
    run_id      bigint NOT NULL,
    step        text NOT NULL,
    phase       integer NOT NULL,
    started_at  timestamptz,
    finished_at timestamptz,
    measured    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, step),
    FOREIGN KEY (run_id, phase) REFERENCES replank.phase ON DELETE CASCADE
);

-- The scripts of a run's steps as they were when it began: they run as they were compiled, or not at all.
CREATE TABLE replank.script (
    run_id      bigint NOT NULL,
    step        text NOT NULL,
    direction   text NOT NULL CHECK (direction IN ('forward', 'back')),
    document    jsonb NOT NULL,
    checksum    text NOT NULL,
    blocks      integer NOT NULL,
    blocks_done integer NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, step, direction),
    FOREIGN KEY (run_id, step) REFERENCES replank.step ON DELETE CASCADE
);

-- The pass over the tables as it was compiled when they were planned; jobs say the same. `reviewed`: read by the operator.
CREATE TABLE replank.pass_script (
    run_id    bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    step      text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('forward', 'back')),
    document  jsonb NOT NULL,
    checksum  text NOT NULL,
    reviewed  boolean NOT NULL,
    PRIMARY KEY (run_id, step, direction)
);

CREATE TABLE replank.run_table (
    run_id           bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    table_no         integer NOT NULL,
    schema_name      text NOT NULL,
    table_name       text NOT NULL,
    set_no           integer NOT NULL,
    state            text NOT NULL DEFAULT 'planned' CHECK (state IN (
        'planned', 'captured', 'copying', 'first_drain', 'indexing', 'catching_up',
        'verifying', 'repairing', 'ready', 'swapped', 'validating', 'extended', 'backfilling', 'constraining',
        'done', 'swapped_back', 'restored')),
    spec             jsonb NOT NULL,
    axis             text,
    axis_reason      text NOT NULL DEFAULT '',
    generation       integer NOT NULL DEFAULT 1,
    rewritten        boolean NOT NULL DEFAULT false,
    filenode         bigint,
    heap_blocks      bigint,
    all_blocks       bigint,  -- of all its partitions, with their TOAST
    cut_to           jsonb,
    cutting_finished boolean NOT NULL DEFAULT false,
    rows_estimate    bigint NOT NULL DEFAULT 0,
    rounds           integer NOT NULL DEFAULT 0,
    in_chunks        boolean NOT NULL DEFAULT false,  -- its verification in one piece was too much once
    compared_by      text NOT NULL DEFAULT 'texts' CHECK (compared_by IN ('texts', 'values')),
    attempts         integer NOT NULL DEFAULT 0,
    not_before       timestamptz NOT NULL DEFAULT clock_timestamp(),
    problem          text NOT NULL DEFAULT '',
    blocked          boolean NOT NULL DEFAULT false,
    errors_from      timestamptz NOT NULL DEFAULT clock_timestamp(),  -- the breaker counts none before this
    PRIMARY KEY (run_id, table_no),
    UNIQUE (run_id, schema_name, table_name)
);

-- When each table entered each state: the stages' seconds come from here.
CREATE TABLE replank.table_history (
    run_id   bigint NOT NULL,
    table_no integer NOT NULL,
    state    text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (run_id, table_no) REFERENCES replank.run_table ON DELETE CASCADE
);
CREATE INDEX ON replank.table_history (run_id, table_no);

-- Each table's latest verification, and the latest one that found both sides equal. The cutover reads this, not the state.
-- `capture_facts`: what capture depended on when it began (sql/rows/capture_continuity.py); `because`: why it is verified again.
-- `doubt`: what `replank verify` has found since; it goes with a later verification that finds nothing.
CREATE TABLE replank.verification (
    run_id            bigint NOT NULL,
    table_no          integer NOT NULL,
    generation        integer NOT NULL,  -- of its jobs
    capture_facts     jsonb NOT NULL,
    started_at        timestamptz NOT NULL,
    passed_generation integer,
    passed_capture_facts jsonb,
    passed_at         timestamptz,
    passed_rows       bigint,
    rounds            integer NOT NULL DEFAULT 0,  -- how many have passed
    because           text NOT NULL DEFAULT '',
    doubt             text NOT NULL DEFAULT '',
    doubted_at        timestamptz,
    PRIMARY KEY (run_id, table_no),
    FOREIGN KEY (run_id, table_no) REFERENCES replank.run_table ON DELETE CASCADE
);

CREATE TABLE replank.change_log (
    run_id     bigint NOT NULL,
    table_no   integer NOT NULL,
    log_table  text NOT NULL,
    mode       text NOT NULL CHECK (mode IN ('statement', 'row')),
    PRIMARY KEY (run_id, table_no),
    FOREIGN KEY (run_id, table_no) REFERENCES replank.run_table ON DELETE CASCADE
);

-- Tables whose rows may be quarantined, and how many are; the rows themselves are in replank.quarantine_<run>_<table>.
-- `joined`: its first drain is done, so that quarantine is kept right in it. A session that resolves a quarantine locks this table.
CREATE TABLE replank.quarantine (
    run_id   bigint NOT NULL,
    table_no integer NOT NULL,
    joined   boolean NOT NULL DEFAULT false,
    rows     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, table_no),
    FOREIGN KEY (run_id, table_no) REFERENCES replank.run_table ON DELETE CASCADE
);

CREATE TABLE replank.conversion_set (
    run_id         bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    set_no         integer NOT NULL,
    foreign_keys   jsonb NOT NULL,
    attempts       integer NOT NULL DEFAULT 0,
    not_before     timestamptz NOT NULL DEFAULT clock_timestamp(),
    waits_for      text CHECK (waits_for IN ('pause', 'window', 'proof', 'attempt', 'rows')),
    waits_subject  text NOT NULL DEFAULT '', -- which pause, window, proof or error that is; the words are in problem
    problem        text NOT NULL DEFAULT '',
    blocked        boolean NOT NULL DEFAULT false,
    swapped_at     timestamptz,
    lock_wait_ms   double precision,
    lock_hold_ms   double precision,
    chance         double precision, -- of the last attempt: how likely the transactions in its way would end in time
    longest_wait_ms double precision, -- that any attempt has kept another session waiting, at most
    rows_last_drain bigint,
    autovacuum_before jsonb,
    rollback_facts       jsonb,        -- what a rollback after the swap cannot read from the catalogue any more
    swapped_back_at    timestamptz,
    swap_back_wait_ms   double precision,
    swap_back_hold_ms   double precision,
    reconnected_at timestamptz,  -- when poolers were made to reconnect after its last swap
    swap_back_longest_wait_ms double precision,
    PRIMARY KEY (run_id, set_no)
);

-- What is built again when every table has been swapped. `built` is the table that is being filled.
CREATE TABLE replank.cache (
    run_id            bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    cache_no          integer NOT NULL,
    name              text NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('table', 'materialized_view', 'prewarm', 'redis')),
    spec              jsonb NOT NULL,
    state             text NOT NULL DEFAULT 'planned' CHECK (state IN (
        'planned', 'building', 'indexing', 'ready', 'swapped', 'done')),
    generation        integer NOT NULL DEFAULT 1,
    built             jsonb,
    mark_facts        jsonb NOT NULL DEFAULT '{}',  -- what its marks depend on in the catalogue, as it was when its filling began
    foreign_keys      jsonb NOT NULL DEFAULT '[]',
    autovacuum_before jsonb,
    waits_for         text CHECK (waits_for IN ('window', 'attempt')),
    waits_subject     text NOT NULL DEFAULT '', -- which window that is; the words are in problem
    problem           text NOT NULL DEFAULT '',
    blocked           boolean NOT NULL DEFAULT false,
    attempts          integer NOT NULL DEFAULT 0,
    not_before        timestamptz NOT NULL DEFAULT clock_timestamp(),
    measured_before   jsonb,
    measured_after    jsonb,
    lock_wait_ms      double precision,
    lock_hold_ms      double precision,
    PRIMARY KEY (run_id, cache_no),
    UNIQUE (run_id, name)
);

-- What holds a run back, or one phase, table or cache of it: a pause (no job begins) or a throttle (so many at once).
-- The only truth about it: workers read it when they claim a job, the coordinator before it does anything.
CREATE TABLE replank.restraint (
    restraint_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    kind         text NOT NULL CHECK (kind IN ('pause', 'throttle')),
    phase        integer CHECK (phase BETWEEN 1 AND 4),
    table_no     integer,
    cache_no     integer,
    max_jobs     integer NOT NULL CHECK ((kind = 'pause') = (max_jobs = 0) AND max_jobs >= 0),
    cause        text NOT NULL CHECK (cause IN ('operator', 'panic', 'breaker')),
    actor      text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (run_id, table_no) REFERENCES replank.run_table ON DELETE CASCADE,
    FOREIGN KEY (run_id, cache_no) REFERENCES replank.cache ON DELETE CASCADE,
    CHECK (num_nonnulls(phase, table_no, cache_no) <= 1),
    CONSTRAINT one_of_each_kind UNIQUE NULLS NOT DISTINCT (run_id, kind, phase, table_no, cache_no)
);

-- What holds back jobs: every job is one of the data migration. The one place where SQL says which phase that is.
CREATE VIEW replank.job_restraint AS SELECT * FROM replank.restraint WHERE phase IS NULL OR phase = 3;

-- What holds back the jobs of one table or cache. Nothing in it keeps PostgreSQL from inlining it: a claim pays no call.
CREATE FUNCTION replank.restraints_on_job(of_run bigint, of_table integer, of_cache integer) RETURNS SETOF replank.job_restraint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT p.* FROM replank.job_restraint p
   WHERE p.run_id = of_run AND (p.table_no IS NULL OR p.table_no = of_table) AND (p.cache_no IS NULL OR p.cache_no = of_cache)
$$;
-- Every role that may read the ledger may call it, also where default privileges grant no role a new function. It has its caller's rights.
GRANT EXECUTE ON FUNCTION replank.restraints_on_job(bigint, integer, integer) TO PUBLIC;

-- How the session of a worker is called (`replank.names.worker_name`): all that a role without pg_read_all_stats may see of it.
CREATE FUNCTION replank.worker_session(worker text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'replank worker ' || worker $$;
GRANT EXECUTE ON FUNCTION replank.worker_session(text) TO PUBLIC;

-- A run with what is in force for the whole of it.
CREATE VIEW replank.run_in_force AS
SELECT r.*,
       EXISTS (SELECT FROM replank.restraint p WHERE p.run_id = r.run_id AND p.kind = 'pause'
                  AND num_nonnulls(p.phase, p.table_no, p.cache_no) = 0) AS paused,
       (SELECT t.max_jobs FROM replank.restraint t WHERE t.run_id = r.run_id AND t.kind = 'throttle'
           AND num_nonnulls(t.phase, t.table_no, t.cache_no) = 0) AS window_limit
  FROM replank.run r;

CREATE TABLE replank.job (
    job_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent        bigint,  -- the job whose range this one has a half of
    run_id        bigint NOT NULL,
    step          text NOT NULL,
    table_no      integer,
    cache_no      integer,
    kind          text NOT NULL CHECK (kind IN (
        'copy', 'drain', 'index', 'vacuum', 'verify', 'repair', 'validate', 'backfill', 'cache')),
    generation    integer NOT NULL,
    axis          text CHECK (axis IN ('primary_key', 'heap')),
    lower         jsonb,
    upper         jsonb,
    detail        jsonb NOT NULL DEFAULT '{}',
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN (
        'waiting', 'leased', 'done', 'failed', 'cancelled', 'split', 'skipped')),
    attempt       integer NOT NULL DEFAULT 0,  -- the fence: it only ever grows
    forgiven      integer NOT NULL DEFAULT 0,  -- attempts that do not count against the limit
    not_before    timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at       timestamptz,
    sends         integer NOT NULL DEFAULT 0,
    worker        text,
    backend_pid   integer,
    backend_start timestamptz,
    lease_until   timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    rows          bigint NOT NULL DEFAULT 0,
    result        jsonb,
    error_class   text,
    sqlstate      text,
    message       text,
    FOREIGN KEY (run_id, table_no) REFERENCES replank.run_table ON DELETE CASCADE,
    FOREIGN KEY (run_id, cache_no) REFERENCES replank.cache ON DELETE CASCADE,
    CHECK (num_nonnulls(table_no, cache_no) = 1)
) WITH (fillfactor = 70);

-- The barriers ask only for what is unfinished, and for what failed.
CREATE INDEX job_unfinished ON replank.job (run_id, table_no, kind) WHERE state IN ('waiting', 'leased');
CREATE INDEX job_failed ON replank.job (run_id, table_no) WHERE state = 'failed';
CREATE INDEX job_left_out ON replank.job (run_id) WHERE state = 'skipped';
-- The halves of a job that was split.
CREATE INDEX job_halves ON replank.job (parent) WHERE parent IS NOT NULL;
-- The rate reads the last seconds only.
CREATE INDEX job_finished ON replank.job (run_id, finished_at) INCLUDE (kind, rows) WHERE state = 'done';
-- The dispatcher takes the oldest waiting ones, however many are done already.
CREATE INDEX job_waiting ON replank.job (run_id, job_id) WHERE state = 'waiting';
-- What is in flight is as many as the window, however many wait.
CREATE INDEX job_in_flight ON replank.job (run_id) WHERE state = 'leased' OR (state = 'waiting' AND sent_at IS NOT NULL);
-- Progress sums what is done by table and kind.
CREATE INDEX job_by_table ON replank.job (run_id, table_no, kind, generation) INCLUDE (state, rows);

-- Attempts that did not end well. What went well at once has no row here, so the good path pays nothing.
CREATE TABLE replank.job_attempt (
    job_id      bigint NOT NULL REFERENCES replank.job ON DELETE CASCADE,
    attempt     integer NOT NULL,
    run_id      bigint NOT NULL,
    table_no    integer,
    worker      text,
    started     timestamptz,
    ended       timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome     text NOT NULL CHECK (outcome IN ('again', 'split', 'failed', 'lost', 'stopped')),
    counts      boolean NOT NULL,  -- against the limit of attempts
    error_class text NOT NULL,
    sqlstate    text NOT NULL,
    message     text NOT NULL,
    PRIMARY KEY (job_id, attempt)
);
-- The breaker reads a table's latest ones.
CREATE INDEX ON replank.job_attempt (run_id, table_no, ended);

CREATE TABLE replank.event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id   bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor    text NOT NULL,
    kind     text NOT NULL,
    subject  text NOT NULL DEFAULT '',
    message  text NOT NULL DEFAULT ''
);
CREATE INDEX ON replank.event (run_id, event_id);

-- What receivers of notifications have had of the events. A receiver is named by a hash: its address may hold a secret.
CREATE TABLE replank.delivery (
    event_id bigint NOT NULL REFERENCES replank.event ON DELETE CASCADE,
    receiver text NOT NULL,
    state    text NOT NULL CHECK (state IN ('trying', 'delivered', 'given_up')),
    attempts integer NOT NULL,
    problem  text NOT NULL DEFAULT '',
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (event_id, receiver)
);

-- How many processes an operator wants a worker to have. A local worker that is started again begins with so many.
CREATE TABLE replank.pool_size (
    run_id    bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    worker    text NOT NULL,
    processes integer NOT NULL CHECK (processes > 0),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, worker)
);

-- Where the workers that a coordinator started beside itself write their logs; each start has a file of its own.
CREATE TABLE replank.worker_log (
    run_id bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    host   text NOT NULL,
    file   text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, host, file)
);

-- What the coordinator saw of the broker last, and since when it has been so: one row for the database.
CREATE TABLE replank.broker_status (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seen_at  timestamptz NOT NULL,
    answers  boolean NOT NULL,
    since    timestamptz NOT NULL,
    problem  text NOT NULL DEFAULT ''
);

-- Wrong logins at the run page, summed by its server: how many since it began, and the last one. One row for the database.
CREATE TABLE replank.wrong_login (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    since    timestamptz NOT NULL,
    count    bigint NOT NULL,
    refused  bigint NOT NULL,
    last_at  timestamptz NOT NULL,
    name     text NOT NULL,
    address  text NOT NULL
);

-- What the governor decided, and when. Figures of the reason are those of the moment.
CREATE TABLE replank.window_change (
    run_id  bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    now     integer NOT NULL,
    maximum integer NOT NULL,
    reason  text NOT NULL
);
CREATE INDEX ON replank.window_change (run_id, at);

-- Jobs whose message was sent and that no worker claimed in time, so that they were sent again: how many, and the likely cause.
CREATE TABLE replank.resend (
    run_id bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    cause  text NOT NULL CHECK (cause IN ('no_worker', 'evicted', 'lost', 'busy', 'unknown')),
    jobs   integer NOT NULL
);
CREATE INDEX ON replank.resend (run_id, at);

-- The run's relations in the catalogue when it began.
CREATE TABLE replank.catalogue_before (
    run_id     bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    relation   text NOT NULL,
    what       text NOT NULL,
    name       text NOT NULL,
    definition text NOT NULL
);
CREATE INDEX ON replank.catalogue_before (run_id);

-- What was measured before the run wrote anything, and when all tables were swapped.
CREATE TABLE replank.measurement (
    run_id   bigint NOT NULL REFERENCES replank.run ON DELETE CASCADE,
    moment   text NOT NULL CHECK (moment IN ('before', 'after')),
    document jsonb NOT NULL,
    PRIMARY KEY (run_id, moment)
);

-- Attestations and other records of a plan's gates, by operators, webhooks and Replank itself. Rows are added, never changed.
CREATE TABLE replank.gate_record (
    word_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_digest text NOT NULL,
    gate        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('attested', 'overridden', 'backup', 'verified', 'rehearsed')),
    actor     text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    words       text NOT NULL DEFAULT '',
    evidence    jsonb NOT NULL DEFAULT '{}'
);

-- Each gate of a plan as it was when it was checked last.
CREATE TABLE replank.gate (
    plan_digest text NOT NULL,
    gate        text NOT NULL,
    position    integer NOT NULL,
    state       text NOT NULL CHECK (state IN ('open', 'passed', 'overridden')),
    actor     text NOT NULL DEFAULT '',
    at          timestamptz,
    reason      text NOT NULL DEFAULT '',
    remedy      text NOT NULL DEFAULT '',
    evidence    jsonb NOT NULL DEFAULT '{}',
    looked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (plan_digest, gate)
);

-- The barrier before the data migration: what the gates said when it opened, or why it has not.
CREATE TABLE replank.gate_barrier (
    run_id    bigint PRIMARY KEY REFERENCES replank.run ON DELETE CASCADE,
    passed_at timestamptz,
    gates     jsonb NOT NULL DEFAULT '[]'
);

-- What a run costs: WAL of the whole server and the size of this database, from its data migration's beginning on.
CREATE TABLE replank.run_measure (
    run_id      bigint PRIMARY KEY REFERENCES replank.run ON DELETE CASCADE,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    wal_start   pg_lsn NOT NULL,
    bytes_start bigint NOT NULL,
    bytes_peak  bigint NOT NULL,
    wal_now     pg_lsn NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A run's newest rollback: who, how far it is, how it ended. With the run's row and its events it outlives the run.
CREATE TABLE replank.rollback (
    run_id          bigint PRIMARY KEY REFERENCES replank.run ON DELETE CASCADE,
    actor         text NOT NULL,
    via             text NOT NULL,
    began_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_before timestamptz,  -- when the run was done, if it was: a rollback that cannot begin leaves it so
    stage           text NOT NULL DEFAULT 'ending_jobs' CHECK (stage IN (
        'ending_jobs', 'preparing', 'comparing', 'swapping_back', 'validating', 'removing', 'undoing_steps')),
    subject         text NOT NULL DEFAULT '',
    problem         text NOT NULL DEFAULT '',
    ended_at        timestamptz
);
