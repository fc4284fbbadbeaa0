DROP TABLE IF EXISTS replank.version;

-- The names that the description gives.
ALTER TABLE replank.job RENAME CONSTRAINT job_check TO job_place_check;
ALTER TABLE replank.restraint RENAME CONSTRAINT restraint_check TO restraint_max_jobs_check;
ALTER TABLE replank.restraint RENAME CONSTRAINT restraint_check1 TO restraint_place_check;

-- Which version of Replank began a run: unknown of those before.
ALTER TABLE replank.run ADD COLUMN begun_by text NOT NULL DEFAULT '';
-- Replaced and not made again, so that the roles that read it still do: what is new stands last.
CREATE OR REPLACE VIEW replank.run_in_force AS
SELECT r.run_id, r.plan_name, r.plan_digest, r.plan, r.state, r.reason, r.rollback_to, r.hold_cutover, r.window_now, r.window_max, r.window_cause,
       r.window_signal, r.window_reason, r.created_at, r.finished_at,
       EXISTS (SELECT FROM replank.restraint p WHERE p.run_id = r.run_id AND p.kind = 'pause'
                  AND num_nonnulls(p.phase, p.table_no, p.cache_no) = 0) AS paused,
       (SELECT t.max_jobs FROM replank.restraint t WHERE t.run_id = r.run_id AND t.kind = 'throttle'
           AND num_nonnulls(t.phase, t.table_no, t.cache_no) = 0) AS window_limit,
       r.begun_by
  FROM replank.run r;

COMMENT ON TABLE replank.broker_status IS 'What the coordinator saw of the broker last, and since when it has been so: one row for the database.';
COMMENT ON TABLE replank.gate IS 'Each gate of a plan as it was when it was checked last.';
COMMENT ON TABLE replank.gate_record IS 'Attestations and other records of a plan''s gates. Rows are added, never changed.';
COMMENT ON TABLE replank.run IS 'One execution of one plan.';
COMMENT ON COLUMN replank.run.window_signal IS 'The signal that window_cause speaks of.';
COMMENT ON COLUMN replank.run.begun_by IS 'The version of Replank that began it, and wrote its documents.';
COMMENT ON TABLE replank.wrong_login IS 'Wrong logins at the run page, summed by its server: how many since it began, and the last one.';
COMMENT ON TABLE replank.cache IS 'What is built again when every table has been swapped.';
COMMENT ON COLUMN replank.cache.built IS 'The table that is being filled.';
COMMENT ON COLUMN replank.cache.mark_facts IS 'What its marks depend on in the catalogue, as its filling began.';
COMMENT ON COLUMN replank.cache.waits_subject IS 'Which window that is.';
COMMENT ON TABLE replank.catalogue_before IS 'The run''s relations in the catalogue when it began.';
COMMENT ON TABLE replank.conversion_set IS 'Tables that are swapped together.';
COMMENT ON COLUMN replank.conversion_set.waits_subject IS 'Which pause, window, proof or error that is.';
COMMENT ON COLUMN replank.conversion_set.chance IS 'How likely what was in the last attempt''s way would end in time.';
COMMENT ON COLUMN replank.conversion_set.longest_wait_ms IS 'That any attempt has kept another session waiting, at most.';
COMMENT ON COLUMN replank.conversion_set.rollback_facts IS 'What a rollback after the swap cannot read any more.';
COMMENT ON COLUMN replank.conversion_set.reconnected_at IS 'When poolers were made to reconnect after its last swap.';
COMMENT ON TABLE replank.event IS 'What happened to a run, and by whom.';
COMMENT ON TABLE replank.gate_barrier IS 'The barrier before the data migration: what the gates said when it opened, or why it has not.';
COMMENT ON TABLE replank.measurement IS 'What was measured before the run wrote anything, and when all tables were swapped.';
COMMENT ON TABLE replank.pass_script IS 'The pass over the tables as it was compiled when they were planned; jobs say the same.';
COMMENT ON COLUMN replank.pass_script.reviewed IS 'Read by the operator.';
COMMENT ON TABLE replank.pool_size IS 'How many processes an operator wants a worker to have. One that is started again begins with so many.';
COMMENT ON TABLE replank.resend IS 'Jobs that were sent again because no worker claimed them in time: how many, and the likely cause.';
COMMENT ON TABLE replank.rollback IS 'A run''s newest rollback. With the run''s row and its events it outlives the run.';
COMMENT ON COLUMN replank.rollback.finished_before IS 'When the run was done; a rollback that cannot begin leaves it so.';
COMMENT ON TABLE replank.run_measure IS 'What a run costs, from its data migration on: WAL of the whole server, and the size of this database.';
COMMENT ON TABLE replank.run_table IS 'A table of a run.';
COMMENT ON COLUMN replank.run_table.all_blocks IS 'Of all its partitions, with their TOAST.';
COMMENT ON COLUMN replank.run_table.in_chunks IS 'Its verification in one piece was too much once.';
COMMENT ON COLUMN replank.run_table.errors_from IS 'The breaker counts no errors before this.';
COMMENT ON TABLE replank.window_change IS 'What the governor decided, and when. Figures of the reason are those of the moment.';
COMMENT ON TABLE replank.worker_log IS 'Where workers that a coordinator started beside itself write their logs; each start has its own file.';
COMMENT ON TABLE replank.change_log IS 'Where a table''s changes are captured.';
COMMENT ON TABLE replank.delivery IS 'What receivers of notifications have had of the events.';
COMMENT ON COLUMN replank.delivery.receiver IS 'A hash: an address may hold a secret.';
COMMENT ON TABLE replank.job IS 'One piece of work, for one worker.';
COMMENT ON COLUMN replank.job.parent IS 'The job whose range this one has a half of.';
COMMENT ON COLUMN replank.job.attempt IS 'The fence: it only ever grows.';
COMMENT ON COLUMN replank.job.forgiven IS 'Attempts that do not count against the limit.';
COMMENT ON TABLE replank.quarantine IS 'Tables whose rows may be quarantined. A session that resolves a quarantine locks this table.';
COMMENT ON COLUMN replank.quarantine.joined IS 'Its first drain is done, so that quarantine is kept right in it.';
COMMENT ON TABLE replank.restraint IS 'What holds back a run, or a phase, table or cache of it: workers read it when they claim a job.';
COMMENT ON TABLE replank.table_history IS 'When each table entered each state.';
COMMENT ON TABLE replank.verification IS 'Each table''s latest verification, and the latest that found both sides equal. The cutover reads this.';
COMMENT ON COLUMN replank.verification.generation IS 'Of its jobs.';
COMMENT ON COLUMN replank.verification.capture_facts IS 'What capture depended on when it began (sql/rows/capture_continuity.py).';
COMMENT ON COLUMN replank.verification.rounds IS 'How many have passed.';
COMMENT ON COLUMN replank.verification.because IS 'Why it is verified again.';
COMMENT ON COLUMN replank.verification.doubt IS 'What `replank verify` has found since; one that finds nothing ends it.';
COMMENT ON TABLE replank.job_attempt IS 'Attempts that did not end well. What went well at once has no row here, so the good path pays nothing.';
COMMENT ON COLUMN replank.job_attempt.counts IS 'Against the limit of attempts.';
COMMENT ON TABLE replank.script IS 'The scripts of a run''s steps as they were when it began: they run as they were compiled, or not at all.';
