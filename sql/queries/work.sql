-- tallies: all jobs of a run, counted once, by what they are for and how they stand; `seconds` of what is done
SELECT table_no, cache_no, kind, generation, state, count(*)::int AS jobs, sum(rows)::bigint AS rows,
       coalesce(sum(CASE WHEN kind = 'backfill' THEN (detail ->> 'keys')::int END), 0)::bigint AS keys,
       coalesce(extract(epoch FROM sum(finished_at - started_at) FILTER (WHERE state = 'done')), 0)::float8 AS seconds
  FROM replank.job WHERE run_id = %(run_id)s GROUP BY table_no, cache_no, kind, generation, state;

-- ages: for how long each job that a worker has begun has been under way
SELECT table_no, cache_no, kind, extract(epoch FROM clock_timestamp() - started_at)::float8 AS seconds
  FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased' ORDER BY job_id;

-- scripts: blocks of the steps before the data migration: done, the seconds of finished steps, to do
SELECT coalesce(sum(s.blocks_done), 0)::int AS done, coalesce(sum(s.blocks - s.blocks_done), 0)::int AS left,
       coalesce(sum(extract(epoch FROM coalesce(t.finished_at, clock_timestamp()) - t.started_at)), 0)::float8 AS seconds
  FROM replank.script s JOIN replank.step t USING (run_id, step)
 WHERE s.run_id = %(run_id)s AND s.direction = 'forward' AND t.phase < %(before_phase)s;

-- measuring_seconds: what measuring took before the run's first write
SELECT coalesce((SELECT (document ->> 'seconds')::float8 FROM replank.measurement WHERE run_id = %(run_id)s AND moment = 'before'), 0) AS seconds;

-- clock: seconds since the run began, by the server's clock
SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 AS seconds FROM replank.run WHERE run_id = %(run_id)s;

-- indexes_before: how many indexes each relation of the run had when it began
SELECT parse_ident(relation) AS relation, count(*)::int AS n FROM replank.catalogue_before
 WHERE run_id = %(run_id)s AND what = 'index' GROUP BY catalogue_before.relation;

-- turns: how long after another one a table was moved on, by the state it came to. What is swapped together is one move,
-- and half a second without any was spent waiting for workers: so the quicker moves count
SELECT state, count(*)::int AS n, percentile_cont(0.3) WITHIN GROUP (ORDER BY apart)::float8 AS seconds FROM (
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
