-- announce: a shared lock for each queue that this session's process takes jobs from
SELECT pg_advisory_lock_shared(%(lock)s, key) FROM unnest(%(keys)s::int[]) AS key;

-- processes: how many sessions of this database hold each queue's lock
SELECT l.objid::bigint AS key, count(DISTINCT l.pid)::int AS processes FROM pg_locks l
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = %(lock)s::bigint::oid
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 GROUP BY l.objid;
