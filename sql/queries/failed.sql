-- failed_jobs: jobs that need the operator, all of them or those that are asked for
SELECT j.*, coalesce(t.schema_name || '.' || t.table_name, c.name) AS name
  FROM replank.job j LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache c USING (run_id, cache_no)
 WHERE j.run_id = %(run_id)s AND j.state = 'failed'
   AND (%(job_ids)s::bigint[] IS NULL OR j.job_id = ANY (%(job_ids)s))
   AND (%(table_no)s::int IS NULL OR j.table_no = %(table_no)s) AND (%(cache_no)s::int IS NULL OR j.cache_no = %(cache_no)s)
   AND (%(step)s::text IS NULL OR j.step = %(step)s OR j.kind = %(step)s)
   AND (%(cause)s::text IS NULL OR j.error_class = %(cause)s OR j.sqlstate = %(cause)s)
 ORDER BY j.job_id;

-- job_by_id: one job of a run, whatever its state
SELECT j.*, coalesce(t.schema_name || '.' || t.table_name, c.name) AS name
  FROM replank.job j LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache c USING (run_id, cache_no)
 WHERE j.run_id = %(run_id)s AND j.job_id = %(job_id)s;

-- retry: these failed jobs wait again, with all their attempts
UPDATE replank.job SET state = 'waiting', forgiven = attempt, sent_at = NULL, sends = 0, not_before = clock_timestamp()
 WHERE run_id = %(run_id)s AND job_id = ANY (%(job_ids)s) AND state = 'failed' AND state = ANY (%(sources)s) RETURNING job_id;

-- leave_out: failed jobs that are not done any more, and why
UPDATE replank.job SET state = 'skipped', finished_at = clock_timestamp(), result = coalesce(result, '{}') || jsonb_build_object('left_out', %(words)s::text)
 WHERE run_id = %(run_id)s AND job_id = ANY (%(job_ids)s) AND state = 'failed' AND state = ANY (%(sources)s) RETURNING job_id;

-- left_out: jobs that were left out of the run for good
SELECT j.job_id AS job, j.kind, j.state, coalesce(t.schema_name || '.' || t.table_name, c.name) AS "table", j.result ->> 'left_out' AS reason
  FROM replank.job j LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache c USING (run_id, cache_no)
 WHERE j.run_id = %(run_id)s AND j.state = 'skipped' ORDER BY j.job_id;

-- attempts: what came of a job's attempts that did not end well, and of its forebears'
WITH RECURSIVE line AS (
  SELECT job_id, parent FROM replank.job WHERE job_id = %(job_id)s
  UNION ALL SELECT j.job_id, j.parent FROM replank.job j JOIN line l ON j.job_id = l.parent)
SELECT a.job_id AS job, a.attempt, a.worker, a.started, a.ended, a.outcome, a.counts, a.error_class AS class, a.sqlstate, a.message
  FROM line JOIN replank.job_attempt a USING (job_id) ORDER BY a.job_id, a.attempt;

-- halves: the jobs that took a job's place
SELECT job_id FROM replank.job WHERE parent = %(job_id)s ORDER BY job_id;

-- causes: why jobs of a run failed, and how many each
SELECT coalesce(error_class, '') AS class, coalesce(sqlstate, '') AS sqlstate, count(*)::int AS jobs FROM replank.job
 WHERE run_id = %(run_id)s AND state = 'failed' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2;

-- forgive_errors: the breaker counts from now for these tables
UPDATE replank.run_table SET errors_from = clock_timestamp() WHERE run_id = %(run_id)s AND table_no = ANY (%(table_nos)s);

-- clear_tables: an operator wants these tables tried again
UPDATE replank.run_table SET problem = '', blocked = false, attempts = 0, rounds = 0, not_before = clock_timestamp(), errors_from = clock_timestamp()
 WHERE run_id = %(run_id)s AND table_no = ANY (%(table_nos)s);

-- clear_sets_of: likewise the cutovers of their sets
UPDATE replank.conversion_set s SET waits_for = NULL, waits_subject = '', problem = '', blocked = false, attempts = 0, not_before = clock_timestamp()
 WHERE s.run_id = %(run_id)s AND s.set_no IN (SELECT set_no FROM replank.run_table WHERE run_id = %(run_id)s AND table_no = ANY (%(table_nos)s));

-- clear_caches: likewise these caches
UPDATE replank.cache SET waits_for = NULL, waits_subject = '', problem = '', blocked = false, attempts = 0, not_before = clock_timestamp()
 WHERE run_id = %(run_id)s AND cache_no = ANY (%(cache_nos)s);
