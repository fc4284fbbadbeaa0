-- try_to_follow: of several followers of one receiver only one delivers, for as long as its session lives
SELECT pg_try_advisory_lock(1919250540, ('x' || left(%(receiver)s, 8))::bit(32)::int);

-- pending: events of a run that a receiver has not had; whatever commits late is found late
SELECT e.event_id, e.run_id, e.at, e.actor, e.kind, e.subject, e.message, r.plan_name
  FROM replank.event e JOIN replank.run r USING (run_id)
 WHERE e.run_id = %(run_id)s AND e.kind = ANY (%(kinds)s)
   AND NOT EXISTS (SELECT FROM replank.delivery d WHERE d.event_id = e.event_id AND d.receiver = %(receiver)s AND d.state <> 'trying')
 ORDER BY e.event_id;

-- keep: what became of an event at a receiver
INSERT INTO replank.delivery (event_id, receiver, state, attempts, problem)
SELECT event_id, %(receiver)s, %(state)s, %(attempts)s, %(problem)s FROM replank.event WHERE event_id = %(event_id)s
ON CONFLICT (event_id, receiver) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, problem = excluded.problem, at = clock_timestamp();

-- counts: deliveries of a run by state
SELECT d.state, count(*) AS n FROM replank.delivery d JOIN replank.event e USING (event_id) WHERE e.run_id = %(run_id)s GROUP BY d.state;
