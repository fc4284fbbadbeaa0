-- keep: where this start of the local workers writes
INSERT INTO replank.worker_log (run_id, host, file) VALUES (%(run_id)s, %(host)s, %(file)s) ON CONFLICT DO NOTHING;

-- of_run: the newest first
SELECT host, file FROM replank.worker_log WHERE run_id = %(run_id)s ORDER BY at DESC;
