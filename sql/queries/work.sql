-- turns: how long after another one a table was moved on, by the state it came to. What is swapped together is one move,
-- and half a second without any was spent waiting for workers: so the quicker moves count
SELECT state, count(*)::int AS moves, percentile_cont(0.3) WITHIN GROUP (ORDER BY apart)::float8 AS seconds FROM (
  SELECT state, extract(epoch FROM at - lag(at) OVER (ORDER BY at))::float8 AS apart
    FROM (SELECT state, at FROM replank.table_history WHERE run_id = %(run_id)s ORDER BY at DESC LIMIT 1000) AS newest) AS moves
 WHERE apart > 0.001 AND apart < 0.5 GROUP BY state;

-- workers_lately: which workers finished the newest jobs, within a minute of the newest; and which work now
WITH newest AS (
  SELECT worker, finished_at FROM replank.job WHERE run_id = %(run_id)s AND state = 'done' ORDER BY finished_at DESC LIMIT 60)
SELECT count(DISTINCT worker)::int AS n FROM (
  SELECT worker FROM newest WHERE finished_at > (SELECT max(finished_at) FROM newest) - interval '1 minute'
  UNION ALL SELECT worker FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased') AS workers;

-- rows_of_tables: what the catalogue says of tables by name, partitions summed
WITH RECURSIVE named AS (
  SELECT c.oid, c.reltuples FROM jsonb_array_elements(%(names)s) AS j JOIN pg_namespace n ON n.nspname = j ->> 0
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = j ->> 1),
tree (oid, reltuples) AS (
  SELECT oid, reltuples FROM named UNION SELECT i.inhrelid, c.reltuples FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid)
SELECT coalesce(sum(greatest(t.reltuples, 0)), 0)::bigint AS rows FROM tree t JOIN pg_class c ON c.oid = t.oid WHERE c.relkind = 'r';

-- rhythm: of the newest short jobs, how long after the one before each ended, and how long it took; how long ago a table
-- was moved, and how long ago the first job began
SELECT count(*)::int AS jobs, coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY apart), 0)::float8 AS apart,
       coalesce(avg(took), 0)::float8 AS took,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - max(at)) FROM replank.table_history WHERE run_id = %(run_id)s), 0)::float8 AS quiet,
       (SELECT extract(epoch FROM clock_timestamp() - min(started_at)) FROM replank.job WHERE run_id = %(run_id)s AND job_id = (
          SELECT min(job_id) FROM replank.job WHERE run_id = %(run_id)s AND state = 'done'))::float8 AS working
  FROM (
  SELECT extract(epoch FROM finished_at - lag(finished_at) OVER (ORDER BY finished_at)) AS apart,
         extract(epoch FROM finished_at - started_at) AS took
    FROM (SELECT started_at, finished_at FROM replank.job
           WHERE run_id = %(run_id)s AND state = 'done' ORDER BY finished_at DESC LIMIT 60) AS newest
   WHERE finished_at - started_at < interval '1 second') AS short_ones
 WHERE apart IS NOT NULL;
