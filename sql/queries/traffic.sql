-- holders: transactions that hold locks on relations, the oldest first; a prepared one has no session
WITH held AS (
  SELECT l.pid, l.virtualtransaction, count(DISTINCT l.relation)::int AS tables FROM pg_locks l
   WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY (%(oids)s::oid[])
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND (l.pid IS NULL OR l.pid <> ALL (%(ours)s::int[]))
   GROUP BY l.pid, l.virtualtransaction)
SELECT h.pid, h.tables, coalesce(a.application_name, p.owner, '') AS application, coalesce(a.usename, '') AS role,
       CASE WHEN h.pid IS NULL THEN 'prepared transaction' ELSE coalesce(a.state, '') END AS state,
       coalesce(a.xact_start, p.prepared)::text AS since,
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::float8 AS seconds,
       coalesce(left(a.query, 120), p.gid, '') AS query
  FROM held h LEFT JOIN pg_stat_activity a ON a.pid = h.pid
  -- Locks of a prepared transaction have no pid; one of them is on its own number.
  LEFT JOIN pg_locks own ON h.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid' AND own.virtualtransaction = h.virtualtransaction
  LEFT JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
 ORDER BY seconds DESC;

-- snapshots: sessions of others in this database that hold a snapshot now, the oldest transaction first; a vacuum reads no table by its name, and a walsender's is a standby's
SELECT a.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS role, coalesce(a.state, '') AS state, a.xact_start::text AS since,
       a.backend_xmin::text AS xmin, a.query_start::text AS query_start,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds, left(a.query, 120) AS query
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.backend_xmin IS NOT NULL AND a.pid <> ALL (%(ours)s::int[])
   AND a.application_name NOT LIKE 'replank %%'
   -- NULL where this role may not see more of other roles' sessions than that they hold a snapshot: these count.
   AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'walsender', 'parallel worker')
   AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)
 ORDER BY a.xact_start;

-- queue: sessions that wait for a session, through others too: since when, and whether they hold locks on relations themselves
WITH RECURSIVE waiting AS MATERIALIZED (
  SELECT l.pid, min(l.waitstart) AS since, pg_blocking_pids(l.pid) AS by FROM pg_locks l
   WHERE NOT l.granted AND l.pid <> %(pid)s GROUP BY l.pid),
behind AS (
  SELECT pid, since FROM waiting WHERE %(pid)s = ANY (by)
  UNION
  SELECT w.pid, w.since FROM waiting w JOIN behind b ON b.pid = ANY (w.by))
SELECT b.pid, coalesce(extract(epoch FROM clock_timestamp() - b.since), 0)::float8 AS seconds,
       EXISTS (SELECT FROM pg_locks l WHERE l.pid = b.pid AND l.granted AND l.locktype = 'relation' AND l.relation = ANY (%(oids)s::oid[])
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS holds
  FROM behind b;

-- roots: at the end of the waits behind each of these sessions, which session waits for none; 0 is a prepared transaction
WITH RECURSIVE waiting AS MATERIALIZED (
  SELECT pid, pg_blocking_pids(pid) AS by FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted) AS w),
behind AS (
  SELECT p AS first, p AS pid FROM unnest(%(pids)s::int[]) AS p
  UNION
  SELECT b.first, n.pid FROM behind b JOIN waiting w ON w.pid = b.pid CROSS JOIN LATERAL unnest(w.by) AS n (pid) WHERE n.pid <> ALL (%(ours)s::int[]))
SELECT b.first, b.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS role, coalesce(a.state, '') AS state,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds
  FROM behind b LEFT JOIN pg_stat_activity a ON a.pid = b.pid
 WHERE b.pid <> b.first AND NOT EXISTS (SELECT FROM waiting w WHERE w.pid = b.pid)
 ORDER BY b.first, seconds DESC, b.pid;

-- blocking: sessions that another one waits for now, directly; the oldest transaction first
SELECT b.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS role, coalesce(a.state, '') AS state,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds
  FROM unnest(pg_blocking_pids(%(pid)s)) AS b (pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid
 ORDER BY seconds DESC, b.pid LIMIT 5;

-- busy: which of the tables, by their positions in the list, other sessions hold locks on
SELECT DISTINCT w.place::int AS place
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) WITH ORDINALITY AS w (schema, name, place)
  JOIN pg_locks l ON l.locktype = 'relation' AND l.granted AND l.relation = to_regclass(format('%%I.%%I', w.schema, w.name))::oid
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 WHERE l.pid IS NULL OR l.pid <> ALL (%(ours)s::int[]);
