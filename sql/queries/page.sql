-- cells: jobs by object (a table's number, or -1 - that of a cache), kind, generation and range of ids: one pass, nothing joined or sorted
SELECT coalesce(table_no, -1 - cache_no) AS object, kind, generation, coalesce(parent, job_id) / %(width)s AS cell,
       -- Where each job has a cell of its own, halves stand behind the job that they come from.
       CASE WHEN %(width)s = 1 THEN job_id ELSE 0 END AS own, min(coalesce(parent, job_id)) AS first, max(coalesce(parent, job_id)) AS last,
       count(*) AS jobs, count(*) FILTER (WHERE state = 'done') AS done, count(*) FILTER (WHERE state = 'leased') AS running,
       count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'skipped') AS skipped, count(*) FILTER (WHERE state = 'waiting' AND attempt > 0) AS again,
       count(*) FILTER (WHERE state = 'split') AS split, count(*) FILTER (WHERE state = 'done' AND attempt > 1) AS retried
  FROM replank.job WHERE run_id = %(run_id)s AND state <> 'cancelled' GROUP BY 1, 2, 3, 4, 5;

-- chunks: the jobs of one cell, what went wrong first; `total` counts those beyond the limit too
SELECT j.job_id, j.kind, j.state, j.axis, j.lower, j.upper, j.attempt, j.rows, j.worker, j.error_class, j.sqlstate, j.message,
       j.detail, j.result -> 'row' AS row_key, j.parent,
       extract(epoch FROM coalesce(j.finished_at, CASE WHEN j.state = 'leased' THEN clock_timestamp() END) - j.started_at)::float8 AS seconds,
       count(*) OVER () AS total
  FROM replank.job j
 WHERE j.run_id = %(run_id)s AND j.kind = %(kind)s AND j.state <> 'cancelled'
   AND (%(table_no)s::int IS NULL OR j.table_no = %(table_no)s) AND (%(cache_no)s::int IS NULL OR j.cache_no = %(cache_no)s)
   AND coalesce(j.parent, j.job_id) BETWEEN %(first)s AND %(last)s
   AND j.generation = (SELECT max(n.generation) FROM replank.job n WHERE n.run_id = %(run_id)s AND n.kind = %(kind)s AND n.state <> 'cancelled'
                          AND (%(table_no)s::int IS NULL OR n.table_no = %(table_no)s) AND (%(cache_no)s::int IS NULL OR n.cache_no = %(cache_no)s))
 ORDER BY array_position(ARRAY['failed', 'skipped', 'leased', 'waiting', 'split'], j.state) NULLS LAST, j.job_id LIMIT %(limit)s;

-- causes: what failed, by class of error, with the first job of each as its example and the tables it befell
WITH places AS (
  SELECT coalesce(j.error_class, '') AS error_class, coalesce(j.sqlstate, '') AS sqlstate, j.kind,
         coalesce(t.schema_name || '.' || t.table_name, k.name) AS "table",
         coalesce('table:' || j.table_no, 'cache:' || j.cache_no) AS object,
         count(*) AS jobs, min(j.job_id) AS job, max(j.finished_at) AS last_at
    FROM replank.job j LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache k USING (run_id, cache_no)
   WHERE j.run_id = %(run_id)s AND j.state = 'failed' GROUP BY 1, 2, 3, 4, 5),
causes AS (
  SELECT error_class, sqlstate, sum(jobs)::bigint AS jobs, min(job) AS job, max(last_at) AS last_at, count(*) AS objects,
         (array_agg(jsonb_build_object('table', "table", 'object', object, 'kind', kind, 'jobs', jobs) ORDER BY jobs DESC, job))[:20] AS places
    FROM places GROUP BY 1, 2 ORDER BY max(last_at) DESC NULLS LAST LIMIT %(limit)s)
SELECT c.*, e.kind, coalesce(t.schema_name || '.' || t.table_name, k.name) AS "table", e.axis, e.lower, e.upper, e.message,
       e.attempt AS attempts, e.result -> 'row' AS row_key
  FROM causes c JOIN replank.job e ON e.job_id = c.job
  LEFT JOIN replank.run_table t USING (run_id, table_no) LEFT JOIN replank.cache k USING (run_id, cache_no)
 ORDER BY c.last_at DESC NULLS LAST, c.job;
