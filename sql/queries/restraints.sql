-- put: a pause or a throttle of a scope; the latest word holds
INSERT INTO replank.restraint (run_id, kind, phase, table_no, cache_no, max_jobs, cause, by_whom, reason)
VALUES (%(run_id)s, %(kind)s, %(phase)s, %(table_no)s, %(cache_no)s, %(max_jobs)s, %(cause)s, %(by_whom)s, %(reason)s)
ON CONFLICT ON CONSTRAINT one_of_each_kind DO UPDATE
   SET max_jobs = excluded.max_jobs, cause = excluded.cause, by_whom = excluded.by_whom, reason = excluded.reason,
       since = clock_timestamp()
RETURNING since;

-- lift: a scope's pause or throttle goes; no row where there was none
DELETE FROM replank.restraint
 WHERE run_id = %(run_id)s AND kind = %(kind)s AND phase IS NOT DISTINCT FROM %(phase)s
   AND table_no IS NOT DISTINCT FROM %(table_no)s AND cache_no IS NOT DISTINCT FROM %(cache_no)s
RETURNING restraint_id;

-- lift_all: nothing holds the run back any more
DELETE FROM replank.restraint WHERE run_id = %(run_id)s RETURNING restraint_id;

-- lift_breaker: what a breaker has stopped goes on
DELETE FROM replank.restraint WHERE run_id = %(run_id)s AND cause = 'breaker' AND table_no = ANY (%(table_nos)s) RETURNING table_no;

-- in_force: everything that holds a run back, the widest first
SELECT p.kind, p.phase, p.table_no, p.cache_no, p.max_jobs, p.cause, p.by_whom, p.reason, p.since,
       coalesce(t.schema_name || '.' || t.table_name, c.name) AS name
  FROM replank.restraint p LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache c USING (run_id, cache_no)
 WHERE p.run_id = %(run_id)s ORDER BY num_nonnulls(p.phase, p.table_no, p.cache_no), p.phase, p.table_no, p.cache_no, p.kind;

-- leased_tables: tables that workers are busy with
SELECT DISTINCT table_no FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased' AND table_no IS NOT NULL;

-- leased_caches: caches that workers are busy with
SELECT DISTINCT cache_no FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased' AND cache_no IS NOT NULL;

-- end_workers: the sessions that work on leased jobs of a run end, each matched by its number and its beginning
SELECT pg_terminate_backend(a.pid) AS ended, a.pid, j.job_id FROM replank.job j
  JOIN pg_stat_activity a ON a.pid = j.backend_pid AND a.backend_start = j.backend_start
 WHERE j.run_id = %(run_id)s AND j.state = 'leased' AND a.pid <> pg_backend_pid();

-- stop_others: statements that the coordinator, a script, a finish or a rollback began before the moment are cancelled, or with `hard` their sessions ended
SELECT CASE WHEN %(hard)s THEN pg_terminate_backend(a.pid) ELSE pg_cancel_backend(a.pid) END AS ended, a.pid, a.application_name
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
   AND a.application_name = ANY (%(names)s) AND a.state <> 'idle' AND coalesce(a.xact_start, a.query_start) < %(since)s
   AND NOT (%(hard)s AND a.state = 'active' AND a.query LIKE 'COMMIT%%');

-- claiming: sessions of workers whose statement began before the moment: one of them may be a claim that has not seen the pause
SELECT a.pid FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND starts_with(a.application_name, 'replank worker ')
   AND a.state <> 'idle' AND a.query_start < %(since)s;

-- leased_count: jobs of a run in somebody's hands
SELECT count(*)::int AS n FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased';
