-- equal_errors: tables whose latest attempts failed with one and the same error, and nothing of them has gone well since the first of these
SELECT t.table_no, t.schema_name || '.' || t.table_name AS name, e.n::int AS errors, e.error_class, e.sqlstate, e.message
  FROM replank.run_table t,
       LATERAL (
         SELECT count(*) AS n, min(l.ended) AS first_one, min(l.error_class) AS error_class, min(l.sqlstate) AS sqlstate,
                count(DISTINCT (l.error_class, l.sqlstate)) AS causes, (array_agg(l.message ORDER BY l.ended DESC))[1] AS message
           FROM (SELECT a.* FROM replank.job_attempt a
                  WHERE a.run_id = t.run_id AND a.table_no = t.table_no AND a.ended > t.errors_from AND a.outcome IN ('split', 'failed')
                  ORDER BY a.ended DESC LIMIT %(in_a_row)s) AS l) AS e
 WHERE t.run_id = %(run_id)s AND e.n >= %(in_a_row)s AND e.causes = 1
   AND NOT EXISTS (SELECT FROM replank.job d WHERE d.run_id = t.run_id AND d.state = 'done' AND d.finished_at > e.first_one AND d.table_no = t.table_no)
   AND NOT EXISTS (SELECT FROM replank.restraint p WHERE p.run_id = t.run_id AND p.kind = 'pause' AND p.table_no = t.table_no);

-- failed_share: tables of whose jobs, kind by kind, more than a share has failed since the operator last retried
WITH failing AS MATERIALIZED (
  SELECT DISTINCT f.run_id, f.table_no FROM replank.job f WHERE f.run_id = %(run_id)s AND f.state = 'failed' AND f.table_no IS NOT NULL)
SELECT t.table_no, t.schema_name || '.' || t.table_name AS name, c.kind, c.failed::int, c.ended::int
  FROM failing JOIN replank.run_table t USING (run_id, table_no),
       LATERAL (
         SELECT j.kind, count(*) FILTER (WHERE j.state = 'failed') AS failed, count(*) AS ended FROM replank.job j
          WHERE j.run_id = t.run_id AND j.table_no = t.table_no AND j.generation = t.generation AND j.state IN ('done', 'failed')
            AND j.finished_at > t.errors_from
          GROUP BY j.kind) AS c
 WHERE c.ended >= %(at_least)s AND c.failed > c.ended * %(share)s
   AND NOT EXISTS (SELECT FROM replank.restraint p WHERE p.run_id = t.run_id AND p.kind = 'pause' AND p.table_no = t.table_no);

-- many_failed: tables of which more jobs than so many need the operator, and others still wait
SELECT t.table_no, t.schema_name || '.' || t.table_name AS name, f.n::int AS failed
  FROM replank.run_table t, LATERAL (
         SELECT count(*) AS n FROM replank.job j
          WHERE j.run_id = t.run_id AND j.table_no = t.table_no AND j.state = 'failed' AND j.finished_at > t.errors_from) AS f
 WHERE t.run_id = %(run_id)s AND f.n > %(most)s
   AND EXISTS (SELECT FROM replank.job w WHERE w.run_id = t.run_id AND w.table_no = t.table_no AND w.state = 'waiting')
   AND NOT EXISTS (SELECT FROM replank.restraint p WHERE p.run_id = t.run_id AND p.kind = 'pause' AND p.table_no = t.table_no);
