-- at_jobs: sessions that work on leased jobs of a run, each matched by pid and backend_start, or where that is hidden from this role by its name
SELECT a.pid, a.application_name AS name, a.usename AS login FROM replank.job j
  JOIN pg_stat_activity a ON a.pid = j.backend_pid AND coalesce(a.backend_start = j.backend_start, a.application_name = replank.worker_session(j.worker))
 WHERE j.run_id = %(run_id)s AND j.state = 'leased' AND a.pid <> pg_backend_pid();

-- others: sessions of the coordinator, a script, a finish or a rollback with a statement or transaction that began before the moment. `hard` leaves a COMMIT alone
SELECT a.pid, a.application_name AS name, a.usename AS login FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND coalesce(a.backend_type, 'client backend') = 'client backend'
   AND a.application_name = ANY (%(names)s)
   AND coalesce(a.state <> 'idle', EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'virtualxid'))
   AND coalesce(a.xact_start, a.query_start, '-infinity') < %(since)s
   AND NOT (%(hard)s AND coalesce(a.state = 'active' AND a.query LIKE 'COMMIT%%', false));

-- terminate: one session of ours, if it is still the one that was meant
SELECT pg_terminate_backend(a.pid) AS done FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.application_name = %(name)s AND a.datname = current_database();

-- cancel: the present statement of one session of ours
SELECT pg_cancel_backend(a.pid) AS done FROM pg_stat_activity a
 WHERE a.pid = %(pid)s AND a.application_name = %(name)s AND a.datname = current_database();

-- claiming: sessions of workers whose statement began before the moment: one of them may be a claim that has not seen the pause
SELECT a.pid FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND starts_with(a.application_name, 'replank worker ')
   AND coalesce(a.state <> 'idle', EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'virtualxid'))
   AND coalesce(a.query_start, '-infinity') < %(since)s;
