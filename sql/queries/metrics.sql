-- leader: the session of this database that holds the leader's lock
SELECT l.pid, coalesce(a.application_name, '') AS name, a.backend_start AS since
  FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = %(high)s::bigint::oid AND l.objid = %(low)s::bigint::oid
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- work: all jobs of a run in one pass: how many, their rows, how often they were tried again, and how long the done ones took.
-- `bucket` is the place of the seconds among the bounds; NULL for what is not done
SELECT kind, state, table_no, bucket, count(*) AS jobs, sum(rows)::bigint AS rows, sum(greatest(attempt - 1, 0))::bigint AS retries,
       sum(seconds)::float8 AS seconds FROM (
  SELECT kind, state, table_no, rows, attempt, seconds, width_bucket(seconds, %(bounds)s::float8[]) AS bucket
    FROM (SELECT kind, state, table_no, rows, attempt,
                 CASE WHEN state = 'done' THEN extract(epoch FROM finished_at - started_at)::float8 END AS seconds
            FROM replank.job WHERE run_id = %(run_id)s) AS timed) AS placed
 GROUP BY 1, 2, 3, 4;

-- worker_sessions: children of workers that are connected to this database
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, 'replank worker ');

-- wal: what the server has written since the run's data migration began; no row before that
SELECT greatest(pg_wal_lsn_diff(CASE WHEN r.state IN ('running', 'needs_operator', 'rolling_back') AND NOT pg_is_in_recovery()
                                     THEN pg_current_wal_insert_lsn() ELSE m.wal_now END, m.wal_start), 0)::float8 AS wal_bytes,
       (m.bytes_peak - m.bytes_start)::float8 AS added_bytes
  FROM replank.run_measure m JOIN replank.run r USING (run_id) WHERE m.run_id = %(run_id)s;

-- log_lengths: rows of change logs, counted no further than a bound, and their bytes; logs that are not there are left out
SELECT t.name, t.log, pg_relation_size(c.oid)::float8 AS bytes FROM unnest(%(names)s::text[], %(logs)s::text[]) AS t (name, log)
  JOIN pg_class c ON c.relname = t.log AND c.relnamespace = to_regnamespace('replank');

-- log_rows: rows of one log, counted no further than a bound
SELECT count(*) FROM (SELECT FROM {log} LIMIT {most}) AS first_ones;

-- next_sizes: bytes of next tables with their partitions, indexes and TOAST
SELECT t.name, (SELECT sum(pg_total_relation_size(p.relid))::float8 FROM pg_partition_tree(to_regclass(t.next)) AS p WHERE p.isleaf) AS tree,
       pg_total_relation_size(to_regclass(t.next))::float8 AS plain
  FROM unnest(%(names)s::text[], %(nexts)s::text[]) AS t (name, next) WHERE to_regclass(t.next) IS NOT NULL;

-- unheard: the kind of a job that was sent three times and taken by no worker, while none of its kind is or was under way
SELECT j.kind FROM replank.job j
 WHERE j.run_id = %(run_id)s AND j.state = 'waiting' AND j.sent_at IS NOT NULL AND j.sends >= 3
   AND NOT EXISTS (SELECT FROM replank.restraints_on_job(j.run_id, j.table_no, j.cache_no) AS p WHERE p.kind = 'pause')
   AND NOT EXISTS (SELECT FROM replank.job f WHERE f.run_id = j.run_id AND f.state = 'leased' AND f.kind = j.kind)
   AND NOT EXISTS (SELECT FROM replank.job d WHERE d.run_id = j.run_id AND d.state = 'done' AND d.kind = j.kind
                      AND d.finished_at > clock_timestamp() - interval '10 seconds')
 LIMIT 1;

-- preparing: the oldest session whose name says that a run is being prepared on this database
SELECT pid, coalesce(usename, '') AS role, substr(application_name, length(%(prefix)s) + 1) AS doing, backend_start AS since
  FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, %(prefix)s)
 ORDER BY backend_start NULLS LAST, pid LIMIT 1;
