-- lock_run: the run, which no other session changes meanwhile
SELECT state, finished_at FROM replank.run WHERE run_id = %(run_id)s FOR UPDATE;

-- begin: a rollback from the beginning
INSERT INTO replank.rollback (run_id, actor, via, finished_before)
VALUES (%(run_id)s, %(by)s, %(via)s, %(finished_before)s)
ON CONFLICT (run_id) DO UPDATE
   SET actor = excluded.actor, via = excluded.via, began_at = excluded.began_at, ended_at = NULL,
       finished_before = excluded.finished_before, stage = excluded.stage, subject = '', problem = '';

-- continue: one that was stopped continues, perhaps by another operator
UPDATE replank.rollback SET actor = %(by)s, via = %(via)s, problem = '' WHERE run_id = %(run_id)s;

-- set_stage: how far it is
UPDATE replank.rollback SET stage = %(stage)s, subject = %(subject)s WHERE run_id = %(run_id)s;

-- set_problem: why it has stopped
UPDATE replank.rollback SET problem = %(problem)s WHERE run_id = %(run_id)s;

-- end: it is done
UPDATE replank.rollback SET ended_at = clock_timestamp(), subject = '', problem = '' WHERE run_id = %(run_id)s;

-- give_up: a run that was done is so again, unless a table was swapped or something was removed; no row then
UPDATE replank.run r SET state = %(after)s, reason = '', finished_at = b.finished_before
  FROM replank.rollback b
 WHERE r.run_id = %(run_id)s AND b.run_id = r.run_id AND r.state = %(before)s AND b.finished_before IS NOT NULL
   AND b.stage = ANY (%(stages)s)
   AND NOT EXISTS (SELECT FROM replank.conversion_set s WHERE s.run_id = r.run_id AND s.swapped_back_at IS NOT NULL)
RETURNING r.run_id;

-- read: a run's newest rollback
SELECT actor AS by, via, began_at, stage, subject, problem, ended_at FROM replank.rollback WHERE run_id = %(run_id)s;

-- only_records: whether no run of the ledger has left anything but its record
SELECT NOT EXISTS (SELECT FROM replank.run WHERE state <> 'rolled_back') AS so;
