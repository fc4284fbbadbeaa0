-- add_record: an operator's record of a gate, or Replank's own
INSERT INTO replank.gate_record (plan_digest, gate, kind, actor, words, evidence)
VALUES (%(plan_digest)s, %(gate)s, %(kind)s, %(actor)s, %(words)s, %(evidence)s) RETURNING *;

-- attestations: the newest attestation and override of each gate of a plan; a rollback of its run ends them
SELECT DISTINCT ON (w.gate, w.kind) w.*, clock_timestamp() - w.at AS age FROM replank.gate_record w
 WHERE w.plan_digest = %(plan_digest)s AND w.kind IN ('attested', 'overridden')
   AND NOT EXISTS (SELECT FROM replank.run r
                    WHERE r.plan_digest = w.plan_digest AND r.state = 'rolled_back' AND r.finished_at > w.at)
 ORDER BY w.gate, w.kind, w.word_id DESC;

-- newest_record: the newest of a kind, of one plan or (NULL) of any
SELECT *, clock_timestamp() - at AS age FROM replank.gate_record
 WHERE kind = %(kind)s AND plan_digest = coalesce(%(plan_digest)s, plan_digest) ORDER BY word_id DESC LIMIT 1;

-- keep_gate: the state of a gate now
INSERT INTO replank.gate (plan_digest, gate, position, state, actor, at, reason, remedy, evidence)
VALUES (%(plan_digest)s, %(gate)s, %(position)s, %(state)s, %(actor)s, %(at)s, %(reason)s, %(remedy)s, %(evidence)s)
ON CONFLICT (plan_digest, gate) DO UPDATE SET position = excluded.position, state = excluded.state,
   actor = excluded.actor, at = excluded.at, reason = excluded.reason, remedy = excluded.remedy,
   evidence = excluded.evidence, looked_at = clock_timestamp();

-- forget_gates: gates that the plan does not ask for any more
DELETE FROM replank.gate WHERE plan_digest = %(plan_digest)s AND gate <> ALL (%(gates)s);

-- gates: the gates of a plan as they were when they were checked last
SELECT * FROM replank.gate WHERE plan_digest = %(plan_digest)s ORDER BY position;

-- set_barrier: the barrier of a run opens, or says why not
INSERT INTO replank.gate_barrier (run_id, passed_at, gates)
VALUES (%(run_id)s, CASE WHEN %(passed)s THEN clock_timestamp() END, %(gates)s)
ON CONFLICT (run_id) DO UPDATE SET passed_at = excluded.passed_at, gates = excluded.gates;

-- barrier: the barrier of a run, if it was come to
SELECT passed_at, gates FROM replank.gate_barrier WHERE run_id = %(run_id)s;

-- set_gates: the gates of a run's plan are others now
UPDATE replank.run SET plan = plan || jsonb_build_object('gates', %(gates)s::jsonb) WHERE run_id = %(run_id)s;

-- now: the server's clock, which every program that asks shares
SELECT clock_timestamp();

-- measure: how far WAL and size are; the first reading is the beginning
INSERT INTO replank.run_measure (run_id, wal_start, bytes_start, bytes_peak, wal_now)
SELECT %(run_id)s, lsn, bytes, bytes, lsn
  FROM pg_current_wal_insert_lsn() AS lsn, pg_database_size(current_database()) AS bytes
ON CONFLICT (run_id) DO UPDATE SET bytes_peak = greatest(run_measure.bytes_peak, excluded.bytes_peak),
   wal_now = excluded.wal_now, measured_at = clock_timestamp();

-- measured: what a run has cost by now
SELECT pg_wal_lsn_diff(wal_now, wal_start)::bigint AS wal_bytes, bytes_start, bytes_peak - bytes_start AS bytes_added,
       extract(epoch FROM measured_at - started_at)::float8 AS seconds
  FROM replank.run_measure WHERE run_id = %(run_id)s;

-- steps: how long each step of a run took
SELECT step, extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM replank.step
 WHERE run_id = %(run_id)s AND finished_at IS NOT NULL ORDER BY step;

-- phases: how long each phase of a run took
SELECT phase || ' ' || name AS phase, extract(epoch FROM finished_at - started_at)::float8 AS seconds
  FROM replank.phase WHERE run_id = %(run_id)s AND finished_at IS NOT NULL ORDER BY 1;

-- restored_tables: tables with rows of their own, as a dump has them: no parts of extensions, nothing of Replank
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|replank)' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, 2;

-- place: what a backup must be of: the server's identifier and version, the database and its oid
SELECT s.system_identifier::text AS system_identifier, current_setting('server_version_num')::int / 10000 AS major,
       d.datname AS database, d.oid::bigint AS database_oid
  FROM pg_control_system() AS s, pg_database d WHERE d.datname = current_database();

-- rehearsal_before: the newest good rehearsal of a plan that a run could know of
SELECT *, clock_timestamp() - at AS age FROM replank.gate_record
 WHERE kind = 'rehearsed' AND plan_digest = %(plan_digest)s AND (evidence ->> 'passed')::boolean
   AND at < coalesce((SELECT max(b.passed_at) FROM replank.gate_barrier b JOIN replank.run r USING (run_id)
                       WHERE r.run_id = %(run_id)s), clock_timestamp())
 ORDER BY word_id DESC LIMIT 1;
