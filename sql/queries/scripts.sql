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

-- start: a step begins, and its phase with it
WITH phase AS (
  UPDATE replank.phase SET started_at = clock_timestamp()
   WHERE run_id = %(run_id)s AND phase = %(phase)s AND started_at IS NULL)
UPDATE replank.step SET started_at = coalesce(started_at, clock_timestamp()) WHERE run_id = %(run_id)s AND step = %(step)s;

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
