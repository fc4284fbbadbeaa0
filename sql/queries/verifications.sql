-- begin: a table's verification begins; what passed before keeps counting until this one is judged
INSERT INTO replank.verification AS v (run_id, table_no, generation, capture_facts, started_at)
VALUES (%(run_id)s, %(table_no)s, %(generation)s, %(capture_facts)s, %(started_at)s)
ON CONFLICT (run_id, table_no) DO UPDATE SET generation = excluded.generation, capture_facts = excluded.capture_facts, started_at = excluded.started_at;

-- passed: the latest one found both sides equal; a doubt that is older than its beginning goes with it
UPDATE replank.verification SET passed_generation = generation, passed_capture_facts = capture_facts, passed_at = clock_timestamp(), passed_rows = %(rows)s,
       rounds = rounds + 1, because = '', doubt = CASE WHEN doubted_at >= started_at THEN doubt ELSE '' END
 WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND generation = %(generation)s RETURNING table_no;

-- given_up: the latest one is not judged; the one before keeps counting
UPDATE replank.verification SET generation = passed_generation
 WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND passed_generation IS NOT NULL;

-- void: nothing counts as proved any more, and why
UPDATE replank.verification SET passed_generation = NULL, because = %(because)s WHERE run_id = %(run_id)s AND table_no = %(table_no)s;

-- doubt: a comparison of the operator's has found differences
UPDATE replank.verification SET doubt = %(doubt)s, doubted_at = clock_timestamp() WHERE run_id = %(run_id)s AND table_no = %(table_no)s RETURNING table_no;

-- trust: a comparison of the operator's has found none
UPDATE replank.verification SET doubt = '' WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND doubt <> '' RETURNING table_no;

-- read: of every table that was ever verified
SELECT table_no, generation, capture_facts, started_at, passed_generation, passed_capture_facts, passed_at, passed_rows, rounds, because, doubt,
       clock_timestamp() AS now
  FROM replank.verification WHERE run_id = %(run_id)s ORDER BY table_no;

-- shown: the same for people, without the facts of capture
SELECT v.table_no, v.passed_at, v.rounds, v.because, v.doubt, v.generation IS DISTINCT FROM v.passed_generation AS under_way
  FROM replank.verification v WHERE v.run_id = %(run_id)s;

-- unfinished: verify jobs of a generation that are not done
SELECT count(*) AS jobs FROM replank.job
 WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND kind = 'verify' AND generation = %(generation)s AND state NOT IN ('done', 'split');

-- recall: verify jobs that have not begun are cancelled
UPDATE replank.job SET state = 'cancelled', finished_at = clock_timestamp()
 WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND kind = 'verify' AND generation = %(generation)s
   AND state IN ('waiting', 'failed') AND state = ANY (%(sources)s) RETURNING job_id;

-- proved: tables of a set whose proof is still the one that was read before the lock
SELECT count(*) AS tables FROM replank.verification v JOIN replank.run_table t USING (run_id, table_no)
 WHERE v.run_id = %(run_id)s AND t.set_no = %(set_no)s AND v.doubt = '' AND v.passed_generation IS NOT NULL
   AND (v.table_no, v.passed_generation) IN (SELECT * FROM unnest(%(numbers)s::int[], %(generations)s::int[]));

-- reset_rounds: repairs are counted from here
UPDATE replank.run_table SET rounds = 0 WHERE run_id = %(run_id)s AND table_no = %(table_no)s;
