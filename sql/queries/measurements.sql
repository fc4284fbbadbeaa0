-- keep: what was measured; a moment that is measured again replaces its earlier figures
INSERT INTO replank.measurement (run_id, moment, document) VALUES (%(run_id)s, %(moment)s, %(document)s)
ON CONFLICT (run_id, moment) DO UPDATE SET document = excluded.document;

-- all: what is known of a run
SELECT moment, document FROM replank.measurement WHERE run_id = %(run_id)s;
