-- keep: the snapshot that was taken when the run began
INSERT INTO replank.catalogue_before (run_id, relation, what, name, definition)
SELECT %(run_id)s, o ->> 'relation', o ->> 'what', o ->> 'name', o ->> 'definition' FROM jsonb_array_elements(%(objects)s) AS o;
