-- add: a table whose rows may be quarantined
INSERT INTO replank.quarantine (run_id, table_no) VALUES (%(run_id)s, %(table_no)s);

-- remove: its run is rolled back
DELETE FROM replank.quarantine WHERE run_id = %(run_id)s AND table_no = %(table_no)s;

-- join: the first drain of a table; no row if it was before
UPDATE replank.quarantine SET joined = true WHERE run_id = %(run_id)s AND table_no = %(table_no)s AND NOT joined RETURNING table_no;

-- joined: the tables of a run that quarantine is kept right in
SELECT table_no FROM replank.quarantine WHERE run_id = %(run_id)s AND joined ORDER BY table_no;

-- set_rows: how many rows of a table are quarantined
UPDATE replank.quarantine SET rows = %(rows)s WHERE run_id = %(run_id)s AND table_no = %(table_no)s;

-- rows: how many rows of each table are quarantined
SELECT table_no, rows FROM replank.quarantine WHERE run_id = %(run_id)s ORDER BY table_no;
