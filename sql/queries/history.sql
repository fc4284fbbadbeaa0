-- rows_over_time: rows of finished jobs by kind, in spans of so many seconds since a moment
SELECT kind, floor(extract(epoch FROM finished_at - %(since)s::timestamptz) / %(span_s)s)::int AS span, sum(rows)::bigint AS rows FROM replank.job
 WHERE run_id = %(run_id)s AND state = 'done' AND kind IN ('copy', 'backfill', 'verify') AND finished_at >= %(since)s::timestamptz
 GROUP BY 1, 2 ORDER BY 2, 1;
