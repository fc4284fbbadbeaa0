-- has_ledger: whether this database has a ledger at all, whether this role may read it, and whether it is of the days before its upgrades were Alembic's; a role without any right on it may ask this too
SELECT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'run') AS there,
       has_schema_privilege(n.oid, 'USAGE')
         AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname IN ('version', 'alembic_version', 'run', 'job')
                            AND NOT has_table_privilege(c.oid, 'SELECT')) AS readable,
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'version') AS before_alembic
  FROM pg_namespace n WHERE n.nspname = 'replank';

-- revision: Alembic's, of a ledger that is upgraded by it
SELECT version_num FROM replank.alembic_version;

-- finish_steps: close every step and phase of a run that has begun
WITH steps AS (
  UPDATE replank.step SET finished_at = clock_timestamp()
   WHERE run_id = %(run_id)s AND finished_at IS NULL AND started_at IS NOT NULL)
UPDATE replank.phase SET finished_at = clock_timestamp()
 WHERE run_id = %(run_id)s AND finished_at IS NULL AND started_at IS NOT NULL;

-- forget_data: what the ledger knows of a data migration that was rolled back. Jobs, logs and histories go along
WITH sets AS (DELETE FROM replank.conversion_set WHERE run_id = %(run_id)s),
     caches AS (DELETE FROM replank.cache WHERE run_id = %(run_id)s),
     objects AS (DELETE FROM replank.catalogue_before WHERE run_id = %(run_id)s),
     measurements AS (DELETE FROM replank.measurement WHERE run_id = %(run_id)s AND moment = 'after'),
     barrier AS (DELETE FROM replank.gate_barrier WHERE run_id = %(run_id)s),
     measured AS (DELETE FROM replank.run_measure WHERE run_id = %(run_id)s),
     tables AS (DELETE FROM replank.run_table WHERE run_id = %(run_id)s),
     steps AS (DELETE FROM replank.step s WHERE s.run_id = %(run_id)s
                AND NOT EXISTS (SELECT FROM replank.script c WHERE c.run_id = s.run_id AND c.step = s.step)
               RETURNING phase)
DELETE FROM replank.phase p WHERE p.run_id = %(run_id)s AND p.phase IN (SELECT phase FROM steps)
   AND NOT EXISTS (SELECT FROM replank.script c JOIN replank.step s USING (run_id, step)
                    WHERE s.run_id = p.run_id AND s.phase = p.phase);

-- set_window: how many jobs may be in flight now, and why; kept with its time when it is another window, or for another cause
WITH before AS (SELECT window_now, window_max, window_cause, window_signal FROM replank.run WHERE run_id = %(run_id)s FOR UPDATE),
     changed AS (
  UPDATE replank.run SET window_now = %(now)s, window_max = %(max)s, window_cause = %(cause)s, window_signal = %(signal)s, window_reason = %(reason)s
   WHERE run_id = %(run_id)s)
INSERT INTO replank.window_change (run_id, now, maximum, reason)
SELECT %(run_id)s, %(now)s, %(max)s, %(reason)s FROM before
 WHERE (window_now, window_max, window_cause, window_signal) IS DISTINCT FROM (%(now)s, %(max)s, %(cause)s, %(signal)s);

-- set_table_state: a transition that replank/values/states.py allows, or no row; its time goes to the history
WITH moved AS (
  UPDATE replank.run_table SET state = %(state)s, problem = '', attempts = 0
   WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND state = ANY (%(sources)s)
  RETURNING run_id, table_no, state)
INSERT INTO replank.table_history (run_id, table_no, state) SELECT run_id, table_no, state FROM moved
RETURNING table_no;

-- move_set: all tables of a set in one statement; under the cutover's lock every round trip counts
WITH moved AS (
  UPDATE replank.run_table SET state = %(state)s, problem = '', attempts = 0
   WHERE run_id = %(run_id)s AND set_no = %(set_no)s AND state = ANY (%(sources)s)
  RETURNING run_id, table_no, state)
INSERT INTO replank.table_history (run_id, table_no, state) SELECT run_id, table_no, state FROM moved
RETURNING table_no;

-- set_swapped: the cutover's own word, in its own transaction; none if a rollback or a pause was asked for meanwhile
WITH still_running AS (
  SELECT run_id FROM replank.run r WHERE run_id = %(run_id)s AND state = 'running'
     AND NOT EXISTS (SELECT FROM replank.job_restraint p LEFT JOIN replank.run_table t USING (run_id, table_no)
                      WHERE p.run_id = r.run_id AND p.kind = 'pause' AND p.cache_no IS NULL
                        AND (p.table_no IS NULL OR t.set_no = %(set_no)s))
     FOR SHARE)
UPDATE replank.conversion_set s SET swapped_at = clock_timestamp(), waits_for = NULL, waits_subject = '', problem = '', rows_last_drain = %(rows)s
  FROM still_running r
 WHERE s.run_id = r.run_id AND s.set_no = %(set_no)s AND s.swapped_at IS NULL RETURNING s.set_no;
