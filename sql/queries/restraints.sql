-- put: a pause or a throttle of a scope; the latest one holds
INSERT INTO replank.restraint (run_id, kind, phase, table_no, cache_no, max_jobs, cause, actor, reason)
VALUES (%(run_id)s, %(kind)s, %(phase)s, %(table_no)s, %(cache_no)s, %(max_jobs)s, %(cause)s, %(actor)s, %(reason)s)
ON CONFLICT ON CONSTRAINT one_of_each_kind DO UPDATE
   SET max_jobs = excluded.max_jobs, cause = excluded.cause, actor = excluded.actor, reason = excluded.reason,
       since = clock_timestamp()
RETURNING since;

-- lift: a scope's pause or throttle goes; no row where there was none
DELETE FROM replank.restraint
 WHERE run_id = %(run_id)s AND kind = %(kind)s AND phase IS NOT DISTINCT FROM %(phase)s
   AND table_no IS NOT DISTINCT FROM %(table_no)s AND cache_no IS NOT DISTINCT FROM %(cache_no)s
RETURNING restraint_id;

-- lift_all: no pause or throttle of the run is left
DELETE FROM replank.restraint WHERE run_id = %(run_id)s RETURNING restraint_id;

-- lift_breaker: what a breaker has paused continues
DELETE FROM replank.restraint WHERE run_id = %(run_id)s AND cause = 'breaker' AND table_no = ANY (%(table_nos)s) RETURNING table_no;

-- in_force: everything that holds a run back, the widest first
SELECT p.kind, p.phase, p.table_no, p.cache_no, p.max_jobs, p.cause, p.actor, p.reason, p.since,
       coalesce(t.schema_name || '.' || t.table_name, c.name) AS name
  FROM replank.restraint p LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache c USING (run_id, cache_no)
 WHERE p.run_id = %(run_id)s ORDER BY num_nonnulls(p.phase, p.table_no, p.cache_no), p.phase, p.table_no, p.cache_no, p.kind;

-- leased_tables: tables with leased jobs
SELECT DISTINCT table_no FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased' AND table_no IS NOT NULL;

-- leased_caches: caches with leased jobs
SELECT DISTINCT cache_no FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased' AND cache_no IS NOT NULL;

-- at_jobs: sessions that work on leased jobs of a run, each matched by pid and backend_start, or where that is hidden from this role by its name
SELECT a.pid, a.application_name AS name, a.usename AS login FROM replank.job j
  JOIN pg_stat_activity a ON a.pid = j.backend_pid AND coalesce(a.backend_start = j.backend_start, a.application_name = replank.worker_session(j.worker))
 WHERE j.run_id = %(run_id)s AND j.state = 'leased' AND a.pid <> pg_backend_pid();

-- others: sessions of the coordinator, a script, a finish or a rollback with a statement or transaction that began before the moment. `hard` leaves a COMMIT alone
SELECT a.pid, a.application_name AS name, a.usename AS login FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND coalesce(a.backend_type, 'client backend') = 'client backend'
   AND a.application_name = ANY (%(names)s)
   AND coalesce(a.state <> 'idle', EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'virtualxid'))
   AND coalesce(a.xact_start, a.query_start, '-infinity') < %(since)s
   AND NOT (%(hard)s AND coalesce(a.state = 'active' AND a.query LIKE 'COMMIT%%', false));

-- terminate: one session of ours, if it is still the one that was meant
SELECT pg_terminate_backend(a.pid) AS done FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.application_name = %(name)s AND a.datname = current_database();

-- cancel: the present statement of one session of ours
SELECT pg_cancel_backend(a.pid) AS done FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.application_name = %(name)s AND a.datname = current_database();

-- claiming: sessions of workers whose statement began before the moment: one of them may be a claim that has not seen the pause
SELECT a.pid FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND starts_with(a.application_name, 'replank worker ')
   AND coalesce(a.state <> 'idle', EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'virtualxid'))
   AND coalesce(a.query_start, '-infinity') < %(since)s;

-- leased_count: leased jobs of a run
SELECT count(*)::int AS n FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased';
