-- lately: signs of life of a run, cheap however many jobs there are. `working` are leased jobs whose session does something (or may not be seen)
SELECT clock_timestamp() AS now,
       (SELECT max(finished_at) FROM replank.job WHERE run_id = %(run_id)s AND state = 'done') AS finished_at,
       greatest((SELECT max(at) FROM replank.table_history WHERE run_id = %(run_id)s),
                (SELECT at FROM replank.event WHERE run_id = %(run_id)s ORDER BY event_id DESC LIMIT 1),
                (SELECT created_at FROM replank.run WHERE run_id = %(run_id)s)) AS moved_at,
       (SELECT count(*)::int FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased') AS leased,
       (SELECT count(*)::int FROM replank.job j LEFT JOIN pg_stat_activity a ON a.pid = j.backend_pid
         WHERE j.run_id = %(run_id)s AND j.state = 'leased' AND a.pid IS NOT NULL AND coalesce(a.state, 'active') = 'active') AS working,
       (SELECT extract(epoch FROM clock_timestamp() - min(started_at))::float8 FROM replank.job WHERE run_id = %(run_id)s AND state = 'leased') AS oldest_s,
       (SELECT count(*)::int FROM replank.job WHERE run_id = %(run_id)s AND state = 'failed') AS failed,
       -- NULL where there is none, or this role may not see it.
       (SELECT extract(epoch FROM clock_timestamp() - min(backend_start))::float8 FROM pg_stat_activity
         WHERE datname = current_database() AND starts_with(application_name, 'replank worker ')) AS workers_s;

-- unclaimed: jobs by kind that were sent, that nothing holds back and that no worker has begun; `late` ones were sent twice, or so many seconds ago
SELECT j.kind, count(*)::int AS sent,
       count(*) FILTER (WHERE j.sends >= 2 OR j.sent_at < clock_timestamp() - %(late_s)s * interval '1 second')::int AS late,
       max(j.sends) AS sends
  FROM replank.job j
 WHERE j.run_id = %(run_id)s AND j.state = 'waiting' AND j.sent_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM replank.restraints_on_job(j.run_id, j.table_no, j.cache_no) AS p WHERE p.kind = 'pause')
 GROUP BY j.kind;

-- note_broker: what the coordinator saw of the broker, so many seconds ago
INSERT INTO replank.broker_status (seen_at, answers, since, problem)
SELECT at, %(answers)s, at, %(problem)s FROM (SELECT clock_timestamp() - %(age_s)s * interval '1 second' AS at) AS seen
ON CONFLICT (only_one) DO UPDATE SET seen_at = excluded.seen_at, answers = excluded.answers, problem = excluded.problem,
       since = CASE WHEN broker_status.answers = excluded.answers THEN broker_status.since ELSE excluded.seen_at END;
