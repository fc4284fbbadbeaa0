-- lock_run: the run, which no other session changes meanwhile
SELECT state, finished_at FROM replank.run WHERE run_id = %(run_id)s FOR UPDATE;

-- give_up: a run that was done is so again, unless a table was swapped or something was removed; no row then
UPDATE replank.run r SET state = %(after)s, reason = '', finished_at = b.finished_before
  FROM replank.rollback b
 WHERE r.run_id = %(run_id)s AND b.run_id = r.run_id AND r.state = %(before)s AND b.finished_before IS NOT NULL
   AND b.stage = ANY (%(stages)s)
   AND NOT EXISTS (SELECT FROM replank.conversion_set s WHERE s.run_id = r.run_id AND s.swapped_back_at IS NOT NULL)
RETURNING r.run_id;
