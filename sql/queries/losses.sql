-- of_job: sessions and workers that were lost at a job since an operator's last retry (`own`), and at it and the jobs whose range it has a part of (`line`)
WITH RECURSIVE line AS (
  SELECT job_id, parent, forgiven, true AS own FROM replank.job WHERE job_id = %(job_id)s
  UNION ALL SELECT j.job_id, j.parent, 0, false FROM replank.job j JOIN line l ON j.job_id = l.parent),
lost AS (
  SELECT l.own, a.error_class, a.message, a.ended FROM line l JOIN replank.job_attempt a USING (job_id)
   WHERE a.error_class = ANY (%(lost)s) AND a.counts AND a.attempt > l.forgiven)
SELECT count(*) FILTER (WHERE own)::int AS own, count(*)::int AS line,
       (array_agg(error_class ORDER BY ended DESC))[1] AS last_class, (array_agg(message ORDER BY ended DESC))[1] AS last_message
  FROM lost;

-- server_crashed: whether the server has ended all sessions since then and gone on by itself, its main process living on: it resets its statistics then
SELECT coalesce(pg_stat_get_bgwriter_stat_reset_time() > %(since)s AND pg_postmaster_start_time() < %(since)s, false) AS crashed;
