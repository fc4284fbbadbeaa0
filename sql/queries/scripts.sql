-- add: a script of a step as it was compiled; its step begins later
WITH phase AS (
  INSERT INTO replank.phase (run_id, phase, name) VALUES (%(run_id)s, %(phase)s, %(phase_name)s) ON CONFLICT DO NOTHING),
step AS (
  INSERT INTO replank.step (run_id, step, phase) VALUES (%(run_id)s, %(step)s, %(phase)s) ON CONFLICT DO NOTHING)
INSERT INTO replank.script (run_id, step, direction, document, checksum, blocks)
VALUES (%(run_id)s, %(step)s, %(direction)s, %(document)s, %(checksum)s, %(blocks)s)
-- Step 11 is compiled again with the tables, when these are planned again after a rollback.
ON CONFLICT (run_id, step, direction) DO UPDATE SET document = EXCLUDED.document, checksum = EXCLUDED.checksum, blocks = EXCLUDED.blocks
 WHERE script.blocks_done = 0;

-- forward: the scripts of a run in their order, with their phases
SELECT s.*, t.phase, t.started_at, t.finished_at FROM replank.script s JOIN replank.step t USING (run_id, step)
 WHERE s.run_id = %(run_id)s AND s.direction = 'forward' ORDER BY s.step;

-- both: the scripts of a run in both directions, with their phases
SELECT s.*, t.phase, t.started_at, t.finished_at FROM replank.script s JOIN replank.step t USING (run_id, step)
 WHERE s.run_id = %(run_id)s ORDER BY s.step, s.direction;

-- back: the rollbacks of steps that have begun, the last step first
SELECT s.*, t.phase, t.started_at, t.finished_at FROM replank.script s JOIN replank.step t USING (run_id, step)
 WHERE s.run_id = %(run_id)s AND s.direction = 'back' AND t.started_at IS NOT NULL ORDER BY s.step DESC;

-- begun_of_step: the scripts of a step in all runs that have done some of it
SELECT document FROM replank.script WHERE step = %(step)s AND direction = 'forward' AND blocks_done > 0 ORDER BY run_id;

-- keep_pass: the pass as it is compiled now; what was read before stays marked until it is another one
INSERT INTO replank.pass_script (run_id, step, direction, document, checksum, reviewed)
VALUES (%(run_id)s, %(step)s, %(direction)s, %(document)s, %(checksum)s, %(reviewed)s)
ON CONFLICT (run_id, step, direction) DO UPDATE SET document = excluded.document, checksum = excluded.checksum,
  reviewed = excluded.reviewed OR (pass_script.reviewed AND pass_script.checksum = excluded.checksum);

-- pass: the scripts of the pass
SELECT * FROM replank.pass_script WHERE run_id = %(run_id)s ORDER BY step, direction DESC;

-- start: a step begins, and its phase with it
WITH phase AS (
  UPDATE replank.phase SET started_at = clock_timestamp()
   WHERE run_id = %(run_id)s AND phase = %(phase)s AND started_at IS NULL)
UPDATE replank.step SET started_at = coalesce(started_at, clock_timestamp()) WHERE run_id = %(run_id)s AND step = %(step)s;

-- note: how many blocks of a script are done
UPDATE replank.script SET blocks_done = %(done)s
 WHERE run_id = %(run_id)s AND step = %(step)s AND direction = %(direction)s;

-- finish: a step is done; a phase whose steps all are is done too
WITH finished AS (
  UPDATE replank.step SET finished_at = clock_timestamp() WHERE run_id = %(run_id)s AND step = %(step)s)
UPDATE replank.phase p SET finished_at = clock_timestamp()
 WHERE p.run_id = %(run_id)s AND p.phase = %(phase)s AND NOT EXISTS (
   SELECT FROM replank.step s WHERE s.run_id = p.run_id AND s.phase = p.phase AND s.step <> %(step)s AND s.finished_at IS NULL);

-- forget: a step that was rolled back may run again
WITH scripts AS (UPDATE replank.script SET blocks_done = 0 WHERE run_id = %(run_id)s AND step = %(step)s),
     step AS (UPDATE replank.step SET started_at = NULL, finished_at = NULL WHERE run_id = %(run_id)s AND step = %(step)s)
UPDATE replank.phase SET finished_at = NULL WHERE run_id = %(run_id)s AND phase = %(phase)s;

-- has_step: whether a run has a step
SELECT EXISTS (SELECT FROM replank.step WHERE run_id = %(run_id)s AND step = %(step)s);

-- present_step: the step that is under way, else the last one
SELECT step, phase FROM replank.step WHERE run_id = %(run_id)s AND started_at IS NOT NULL
 ORDER BY finished_at IS NULL DESC, step DESC LIMIT 1;
