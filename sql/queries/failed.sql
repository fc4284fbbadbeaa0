-- attempts: what came of a job's attempts that did not end well, and of its forebears'
WITH RECURSIVE line AS (
  SELECT job_id, parent FROM replank.job WHERE job_id = %(job_id)s
  UNION ALL SELECT j.job_id, j.parent FROM replank.job j JOIN line l ON j.job_id = l.parent)
SELECT a.job_id, a.attempt, a.worker, a.started, a.ended, a.outcome, a.counts, a.error_class, a.sqlstate, a.message
  FROM line JOIN replank.job_attempt a USING (job_id) ORDER BY a.job_id, a.attempt;
