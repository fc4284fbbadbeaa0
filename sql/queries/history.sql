-- steps: every step of a run with its phase and its times
SELECT s.step AS name, s.phase, p.name AS phase_name, s.started_at, s.finished_at, s.measured FROM replank.step s JOIN replank.phase p USING (run_id, phase)
 WHERE s.run_id = %(run_id)s ORDER BY s.step;

-- rows_over_time: rows of finished jobs by kind, in spans of so many seconds since a moment
SELECT kind, floor(extract(epoch FROM finished_at - %(since)s::timestamptz) / %(span_s)s)::int AS span, sum(rows)::bigint AS rows FROM replank.job
 WHERE run_id = %(run_id)s AND state = 'done' AND kind IN ('copy', 'backfill', 'verify') AND finished_at >= %(since)s::timestamptz
 GROUP BY 1, 2 ORDER BY 2, 1;

-- work: jobs of a run by kind and state
SELECT kind, state, count(*) AS jobs, coalesce(sum(rows), 0)::bigint AS rows, sum(attempt - 1) FILTER (WHERE attempt > 1)::bigint AS retries
  FROM replank.job WHERE run_id = %(run_id)s GROUP BY 1, 2 ORDER BY 1, 2;

-- keeps_window: whether this ledger keeps the governor's decisions
SELECT to_regclass('replank.window_change') IS NOT NULL;

-- window: the governor's decisions, in time order
SELECT at, now, maximum, reason FROM replank.window_change WHERE run_id = %(run_id)s ORDER BY at;
