-- add_jobs: one row per job, from a JSON array: constant work per statement, whatever its length
INSERT INTO replank.job (run_id, step, table_no, kind, generation, axis, lower, upper, detail)
SELECT %(run_id)s, %(step)s, %(table_no)s, %(kind)s, %(generation)s, j ->> 'axis', nullif(j -> 'lower', 'null'), nullif(j -> 'upper', 'null'),
       coalesce(j -> 'detail', '{}')
  FROM jsonb_array_elements(%(jobs)s) AS j;

-- add_heap_jobs: cut blocks [0, heap_blocks) into ranges, at least one; or each block into parts of so many places, the last one open at its end
INSERT INTO replank.job (run_id, step, table_no, kind, generation, axis, lower, upper, detail)
SELECT %(run_id)s, %(step)s, %(table_no)s, %(kind)s, %(generation)s, 'heap',
       CASE WHEN p = 0 THEN jsonb_build_array(b::text) ELSE jsonb_build_array(b::text, (p * %(places)s + 1)::text) END,
       CASE WHEN p < %(parts)s - 1 THEN jsonb_build_array(b::text, ((p + 1) * %(places)s + 1)::text)
            ELSE jsonb_build_array(least(b + %(chunk_blocks)s, greatest(%(heap_blocks)s, 1))::text) END, %(detail)s
  FROM generate_series(0::bigint, greatest(%(heap_blocks)s, 1) - 1, %(chunk_blocks)s) AS b, generate_series(0, %(parts)s - 1) AS p
 ORDER BY b, p;

-- unfinished_by_table: what keeps each table's barrier closed; counting stops early, however much waits
SELECT t.table_no,
       (SELECT count(*) FROM (SELECT FROM replank.job j WHERE j.run_id = t.run_id AND j.table_no = t.table_no
                                 AND j.state IN ('waiting', 'leased') LIMIT 1000) AS first_ones) AS running,
       (SELECT count(*) FROM (SELECT FROM replank.job j WHERE j.run_id = t.run_id AND j.table_no = t.table_no
                                 AND j.state = 'failed' LIMIT 1000) AS first_ones) AS failed
  FROM replank.run_table t WHERE t.run_id = %(run_id)s;

-- take_for_sending: waiting jobs up to the window and to what holds tables back, marked sent; one that was sent before waits twice as long each time. A queue that no worker takes jobs from is a lane of its own: its jobs are sent, and hold up no others
WITH lane AS MATERIALIZED (
  SELECT l.consumed, l.kinds, greatest(%(window)s - (
           SELECT count(*) FROM replank.job f
            WHERE f.run_id = %(run_id)s AND (f.state = 'leased' OR (f.state = 'waiting' AND f.sent_at IS NOT NULL))
              AND CASE WHEN f.state = 'leased' THEN l.consumed
                  ELSE f.kind = ANY (l.kinds) AND f.sent_at > clock_timestamp() - %(resend_after_s)s * power(2, least(f.sends - 1, 6)) * interval '1 second' END), 0) AS jobs
    FROM jsonb_to_recordset(%(lanes)s) AS l (consumed boolean, kinds text[])),
-- What holds the whole run back is in its window already.
room AS MATERIALIZED (
  SELECT p.phase, p.table_no, p.cache_no, p.max_jobs - CASE WHEN p.max_jobs = 0 THEN 0 ELSE (
           SELECT count(*) FROM replank.job f
            WHERE f.run_id = %(run_id)s AND (f.state = 'leased' OR (f.state = 'waiting' AND f.sent_at IS NOT NULL))
              AND (f.state = 'leased' OR EXISTS (SELECT FROM lane l WHERE l.consumed AND f.kind = ANY (l.kinds)))
              AND (p.table_no IS NULL OR p.table_no = f.table_no) AND (p.cache_no IS NULL OR p.cache_no = f.cache_no)) END AS jobs,
         p.max_jobs = 0 AS paused
    FROM replank.job_restraint p WHERE p.run_id = %(run_id)s AND num_nonnulls(p.phase, p.table_no, p.cache_no) > 0),
due AS (
  SELECT d.job_id, d.table_no, d.cache_no, l.consumed FROM lane l CROSS JOIN LATERAL (
    SELECT j.job_id, j.table_no, j.cache_no FROM replank.job j
     WHERE j.run_id = %(run_id)s AND j.state = 'waiting' AND j.not_before <= clock_timestamp() AND j.kind = ANY (l.kinds)
       AND (j.sent_at IS NULL
            OR j.sent_at <= clock_timestamp() - %(resend_after_s)s * power(2, least(j.sends - 1, 6)) * interval '1 second')
       AND NOT EXISTS (SELECT FROM room r WHERE r.jobs <= 0 AND r.phase IS NOT NULL AND (r.paused OR l.consumed))
       AND coalesce(j.table_no <> ALL (ARRAY(SELECT r.table_no FROM room r WHERE r.jobs <= 0 AND r.table_no IS NOT NULL AND (r.paused OR l.consumed))), true)
       AND coalesce(j.cache_no <> ALL (ARRAY(SELECT r.cache_no FROM room r WHERE r.jobs <= 0 AND r.cache_no IS NOT NULL AND (r.paused OR l.consumed))), true)
     ORDER BY j.job_id
     LIMIT l.jobs
     FOR UPDATE SKIP LOCKED) AS d),
fitting AS (
  SELECT d.job_id FROM due d
   WHERE NOT d.consumed OR NOT EXISTS (
     SELECT FROM room r
      WHERE (r.table_no IS NULL OR r.table_no = d.table_no) AND (r.cache_no IS NULL OR r.cache_no = d.cache_no)
        AND r.jobs < (SELECT count(*) FROM due e
                       WHERE e.consumed AND e.job_id <= d.job_id AND (r.table_no IS NULL OR r.table_no = e.table_no)
                         AND (r.cache_no IS NULL OR r.cache_no = e.cache_no))))
UPDATE replank.job j SET sent_at = clock_timestamp(), sends = j.sends + 1 FROM fitting f WHERE j.job_id = f.job_id
RETURNING j.job_id, j.kind, coalesce(j.table_no, 0) AS table_no, j.axis, j.lower, j.upper, j.sends,
          (SELECT c.name FROM replank.cache c WHERE c.run_id = j.run_id AND c.cache_no = j.cache_no) AS cache;

-- recall: the window has shrunk: what is sent and not begun, beyond it, waits here again, newest first, lane by lane
WITH lane AS MATERIALIZED (
  SELECT l.kinds, greatest(%(window)s - CASE WHEN l.consumed THEN (
           SELECT count(*) FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased') ELSE 0 END, 0) AS jobs
    FROM jsonb_to_recordset(%(lanes)s) AS l (consumed boolean, kinds text[])),
surplus AS (
  SELECT s.job_id FROM lane l CROSS JOIN LATERAL (
    SELECT j.job_id FROM replank.job j
     WHERE j.run_id = %(run_id)s AND j.state = 'waiting' AND j.sent_at IS NOT NULL AND j.kind = ANY (l.kinds)
     ORDER BY j.job_id OFFSET l.jobs FOR UPDATE SKIP LOCKED) AS s)
UPDATE replank.job j SET sent_at = NULL, sends = 0 FROM surplus WHERE j.job_id = surplus.job_id;

-- claim: commit a lease; the attempt is its fence. No row where another delivery was first, something holds it back or the window is full
UPDATE replank.job j SET state = 'leased', attempt = j.attempt + 1, worker = %(worker)s, backend_pid = pg_backend_pid(),
       backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
       lease_until = clock_timestamp() + %(lease_s)s * interval '1 second', started_at = clock_timestamp(),
       error_class = NULL, sqlstate = NULL, message = NULL
  FROM replank.run r
 WHERE j.job_id = %(job_id)s AND j.run_id = %(run_id)s AND j.state = ANY (%(sources)s) AND j.not_before <= clock_timestamp()
   AND r.run_id = j.run_id AND r.state = 'running'
   AND NOT EXISTS (
     SELECT FROM replank.restraints_on_job(j.run_id, j.table_no, j.cache_no) AS p
      WHERE p.max_jobs <= CASE WHEN p.max_jobs = 0 THEN 0 ELSE (
              SELECT count(*) FROM replank.job f
               WHERE f.run_id = p.run_id AND f.state = 'leased'
                 AND (p.table_no IS NULL OR p.table_no = f.table_no) AND (p.cache_no IS NULL OR p.cache_no = f.cache_no)) END)
   AND (SELECT count(*) FROM replank.job f WHERE f.run_id = %(run_id)s AND f.state = 'leased') < r.window_now
RETURNING j.job_id, j.run_id, coalesce(j.table_no, 0) AS table_no, j.cache_no, j.kind, j.generation, j.attempt, j.attempt - j.forgiven AS counted,
          j.axis, j.lower, j.upper, j.detail, j.step, j.started_at, j.parent;

-- refusal: the state of a job that could not be claimed, and of its run
SELECT j.state, j.worker, j.attempt, r.state AS run_state, j.not_before > clock_timestamp() AS early,
       EXISTS (SELECT FROM replank.restraints_on_job(j.run_id, j.table_no, j.cache_no)) AS held
  FROM replank.job j JOIN replank.run r USING (run_id) WHERE j.job_id = %(job_id)s AND j.run_id = %(run_id)s;

-- fail_leased: the job that this worker has leased needs the operator; its state before, in any case
WITH mine AS (
  SELECT job_id, state, worker FROM replank.job WHERE job_id = %(job_id)s FOR UPDATE),
failed AS (
  UPDATE replank.job j SET state = 'failed', finished_at = clock_timestamp(), result = NULL,
         error_class = %(error_class)s, sqlstate = '', message = %(message)s
    FROM mine m WHERE j.job_id = m.job_id AND m.state = 'leased' AND m.state = ANY (%(sources)s) AND m.worker = %(worker)s
  RETURNING j.*),
history AS (
  INSERT INTO replank.job_attempt (job_id, attempt, run_id, table_no, worker, started, outcome, counts, error_class, sqlstate, message)
  SELECT job_id, attempt, run_id, table_no, worker, started_at, 'failed', true, error_class, sqlstate, message FROM failed)
SELECT m.state, EXISTS (SELECT FROM failed) AS failed FROM mine m;

-- hold_lease: in the job's own transaction, the lease is still ours; the row stays locked until commit, and settings hold until then
WITH held AS MATERIALIZED (
  SELECT job_id FROM replank.job WHERE job_id = %(job_id)s AND state = 'leased' AND attempt = %(attempt)s FOR UPDATE)
SELECT job_id, ARRAY(SELECT set_config(s.name, s.setting, true) FROM jsonb_each_text(%(settings)s) AS s (name, setting)) AS settings FROM held;

-- give_back: a passing error: wait, then again. What a worker's own shutdown ends costs no attempt
WITH given AS (
  UPDATE replank.job SET state = 'waiting', sent_at = NULL, not_before = clock_timestamp() + %(delay_s)s * interval '1 second',
         sends = 0, forgiven = forgiven + CASE WHEN %(costs_attempt)s THEN 0 ELSE 1 END,
         error_class = %(error_class)s, sqlstate = %(sqlstate)s, message = %(message)s
   WHERE job_id = %(job_id)s AND state = 'leased' AND state = ANY (%(sources)s) AND attempt = %(attempt)s RETURNING *)
INSERT INTO replank.job_attempt (job_id, attempt, run_id, table_no, worker, started, outcome, counts, error_class, sqlstate, message)
SELECT job_id, attempt, run_id, table_no, worker, started_at, CASE WHEN %(costs_attempt)s THEN 'again' ELSE 'stopped' END,
       %(costs_attempt)s, error_class, sqlstate, message FROM given RETURNING job_id;

-- fail: the operator is needed
WITH failed AS (
  UPDATE replank.job SET state = 'failed', finished_at = clock_timestamp(), result = %(result)s,
         error_class = %(error_class)s, sqlstate = %(sqlstate)s, message = %(message)s
   WHERE job_id = %(job_id)s AND state = 'leased' AND state = ANY (%(sources)s) AND attempt = %(attempt)s RETURNING *)
INSERT INTO replank.job_attempt (job_id, attempt, run_id, table_no, worker, started, outcome, counts, error_class, sqlstate, message)
SELECT job_id, attempt, run_id, table_no, worker, started_at, 'failed', true, error_class, sqlstate, message FROM failed RETURNING job_id;

-- split: the job's halves take its place, in the statement that ends it; none of them where it is not in that state or overtaken
WITH parent AS (
  UPDATE replank.job SET state = 'split', finished_at = clock_timestamp(),
         error_class = coalesce(%(error_class)s, error_class), sqlstate = coalesce(%(sqlstate)s, sqlstate),
         message = coalesce(%(message)s, message)
   WHERE job_id = %(job_id)s AND state = %(state)s AND state = ANY (%(sources)s) AND attempt = %(attempt)s RETURNING *),
history AS (
  INSERT INTO replank.job_attempt (job_id, attempt, run_id, table_no, worker, started, outcome, counts, error_class, sqlstate, message)
  SELECT job_id, attempt, run_id, table_no, worker, started_at, 'split', true, coalesce(error_class, ''), coalesce(sqlstate, ''),
         coalesce(message, '') FROM parent
  ON CONFLICT (job_id, attempt) DO UPDATE SET outcome = 'split')
INSERT INTO replank.job (parent, run_id, step, table_no, kind, generation, axis, lower, upper, detail)
SELECT p.job_id, p.run_id, p.step, p.table_no, p.kind, p.generation, p.axis, nullif(j -> 'lower', 'null'), nullif(j -> 'upper', 'null'),
       CASE WHEN p.detail ? 'keys' THEN jsonb_set(p.detail, '{keys}', to_jsonb(greatest((p.detail ->> 'keys')::int / 2, 1))) ELSE p.detail END
  FROM parent p, jsonb_array_elements(%(halves)s) WITH ORDINALITY AS h (j, n) ORDER BY h.n
RETURNING job_id;

-- take_back_orphans: requeue leased jobs of lost workers: the backend is gone, or idle past its lease; a panic costs no attempt. Just after a crash of the server workers report first: they know which job it was
WITH panic AS (SELECT since, actor FROM replank.restraint WHERE run_id = %(run_id)s AND cause = 'panic'),
server AS MATERIALIZED (
  SELECT pg_stat_get_bgwriter_stat_reset_time() AS crashed_at, pg_postmaster_start_time() AS began_at,
         greatest(pg_stat_get_bgwriter_stat_reset_time(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())) AS quiet_from),
orphan AS (
  SELECT o.job_id, (SELECT actor FROM panic WHERE since >= o.started_at) AS stopped_by FROM server s, replank.job o
    -- Of sessions of another login the server shows a role without pg_read_all_stats only pid and name, but all locks.
    LEFT JOIN pg_stat_activity a ON a.pid = o.backend_pid AND coalesce(a.backend_start = o.backend_start, a.application_name = replank.worker_session(o.worker))
   WHERE o.run_id = %(run_id)s AND o.state = ANY (%(sources)s) AND o.state = 'leased'
     AND (a.pid IS NULL OR (o.lease_until < clock_timestamp() AND coalesce(a.state = 'idle', NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'virtualxid'))))
     AND (o.started_at NOT BETWEEN s.began_at AND s.crashed_at OR s.quiet_from < clock_timestamp() - %(after_crash_s)s * interval '1 second')
     FOR UPDATE OF o SKIP LOCKED),
taken AS (
  UPDATE replank.job j SET state = 'waiting', sent_at = NULL, sends = 0, sqlstate = NULL,
         error_class = CASE WHEN stopped_by IS NULL THEN 'worker lost' ELSE 'stopped' END,
         message = CASE WHEN stopped_by IS NULL THEN 'worker ' || coalesce(j.worker, '?') || ' was lost; its transaction was rolled back'
                        ELSE 'stopped by the panic of ' || stopped_by || '; its transaction was rolled back' END,
         forgiven = forgiven + CASE WHEN stopped_by IS NULL THEN 0 ELSE 1 END
    FROM orphan o WHERE j.job_id = o.job_id RETURNING j.*),
history AS (
  INSERT INTO replank.job_attempt (job_id, attempt, run_id, table_no, worker, started, outcome, counts, error_class, sqlstate, message)
  SELECT job_id, attempt, run_id, table_no, worker, started_at, CASE error_class WHEN 'stopped' THEN 'stopped' ELSE 'lost' END,
         error_class <> 'stopped', error_class, '', message FROM taken)
SELECT job_id, worker, attempt FROM taken;

-- resolve_unknown_outcome: a worker lost its session in the middle of a job and has reconnected: whether that job committed. Its old backend must be gone
WITH mine AS (
  SELECT j.job_id, j.state, a.pid IS NOT NULL AS alive FROM replank.job j
    LEFT JOIN pg_stat_activity a ON a.pid = j.backend_pid AND coalesce(a.backend_start = j.backend_start, a.application_name = replank.worker_session(j.worker))
     -- The new session may have the old one's number, and then its name too.
     AND a.pid <> pg_backend_pid()
   WHERE j.job_id = %(job_id)s AND j.worker = %(worker)s FOR UPDATE OF j),
given AS (
  UPDATE replank.job j SET state = 'waiting', sent_at = NULL, sends = 0, not_before = clock_timestamp() + %(delay_s)s * interval '1 second',
         forgiven = forgiven + CASE WHEN %(costs_attempt)s THEN 0 ELSE 1 END,
         error_class = %(error_class)s, sqlstate = %(sqlstate)s, message = %(message)s
    FROM mine m WHERE j.job_id = m.job_id AND m.state = 'leased' AND NOT m.alive AND m.state = ANY (%(sources)s) RETURNING j.*),
history AS (
  INSERT INTO replank.job_attempt (job_id, attempt, run_id, table_no, worker, started, outcome, counts, error_class, sqlstate, message)
  SELECT job_id, attempt, run_id, table_no, worker, started_at, CASE WHEN %(costs_attempt)s THEN 'again' ELSE 'stopped' END,
         %(costs_attempt)s, error_class, sqlstate, message FROM given),
-- take_back_orphans may have been faster, and could not know that it was a shutdown.
forgiven AS (
  UPDATE replank.job j SET forgiven = j.forgiven + 1 FROM mine m
   WHERE j.job_id = m.job_id AND m.state = 'waiting' AND j.error_class = 'worker lost' AND NOT %(costs_attempt)s
     AND EXISTS (SELECT FROM replank.job_attempt a WHERE a.job_id = j.job_id AND a.attempt = j.attempt AND a.counts)
  RETURNING j.job_id, j.attempt),
history_forgiven AS (
  UPDATE replank.job_attempt a SET outcome = 'stopped', counts = false, error_class = %(error_class)s, sqlstate = %(sqlstate)s,
         message = %(message)s FROM forgiven f WHERE a.job_id = f.job_id AND a.attempt = f.attempt)
SELECT m.state, m.alive FROM mine m;

-- own_backends: sessions that leased jobs of a run and still live
SELECT a.pid FROM replank.job j
  JOIN pg_stat_activity a ON a.pid = j.backend_pid AND coalesce(a.backend_start = j.backend_start, a.application_name = replank.worker_session(j.worker))
 WHERE j.run_id = %(run_id)s AND j.state = 'leased'
   AND coalesce(a.state <> 'idle', EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'virtualxid'));
