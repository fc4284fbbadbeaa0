-- may_read: which sources of signals this role may read
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS activity,
       has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') AS archive;

-- replicas: WAL that each replica has not replayed; receivers that keep only WAL replay nothing
SELECT coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) AS subject,
       -- NULL where this role may not see it: greatest() would make 0 of that
       pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn, r.sent_lsn))::float8 AS bytes
  FROM pg_stat_replication r
 WHERE r.state IS DISTINCT FROM 'backup' AND r.state IS DISTINCT FROM 'startup';

-- slots: WAL that each slot holds back, and the most it may before the server gives it up (NULL: no bound). One that is lost holds nothing
SELECT s.slot_name AS subject,
       greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::float8 AS bytes,
       (SELECT nullif(setting::float8, -1) * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS at_most
  FROM pg_replication_slots s
 WHERE s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost';

-- archiving: whether WAL is archived at all
SELECT current_setting('archive_mode') <> 'off' AS archives;

-- archive_waiting: WAL that waits for the archive command
SELECT count(*)::float8 * (SELECT setting::float8 FROM pg_settings WHERE name = 'wal_segment_size') AS bytes
  FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}\.ready$';

-- active_backends: statements of others that run or wait for the disk; one that waits for a lock or for its client does not run
SELECT count(*)::float8 AS backends FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND state = 'active' AND NOT starts_with(application_name, 'replank ')
   AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Client', 'Timeout', 'Extension') AND pid <> pg_backend_pid();

-- waiting_locks: sessions of others that have waited for a lock for a second
SELECT count(DISTINCT l.pid)::float8 AS sessions
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE NOT l.granted AND l.waitstart < clock_timestamp() - interval '1 second' AND NOT starts_with(a.application_name, 'replank ');

-- xmin_age: how far back the oldest transaction is that a session may still see, and which session keeps it. Every session sees as far back
-- as the oldest one open, so of those that see equally far the one that has been open longest is named
SELECT subject, age(xmin)::float8 AS age FROM (
  SELECT 'pid ' || pid AS subject, backend_xmin AS xmin, xact_start AS since FROM pg_stat_activity WHERE backend_xmin IS NOT NULL
  UNION ALL SELECT 'slot ' || slot_name, x, '-infinity' FROM pg_replication_slots, LATERAL (VALUES (xmin), (catalog_xmin)) AS v (x) WHERE x IS NOT NULL
  UNION ALL SELECT 'prepared transaction ' || gid, transaction, prepared FROM pg_prepared_xacts) AS seen
 ORDER BY age(xmin) DESC, since LIMIT 1;
