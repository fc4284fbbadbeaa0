-- keep: an operator's newest wish for a worker replaces the one before
INSERT INTO replank.pool_size (run_id, worker, processes) VALUES (%(run_id)s, %(worker)s, %(processes)s)
ON CONFLICT (run_id, worker) DO UPDATE SET processes = excluded.processes, at = clock_timestamp();

-- wanted_sizes: how many processes a worker shall have
SELECT processes FROM replank.pool_size WHERE run_id = %(run_id)s AND worker = %(worker)s;
