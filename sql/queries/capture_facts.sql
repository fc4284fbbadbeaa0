-- read: the facts that capture of each table depends on, a line for each; a line that is missing later means a change
WITH RECURSIVE wanted AS MATERIALIZED (
  SELECT w.table_no, coalesce(w.oid::oid, to_regclass(format('%%I.%%I', w.schema, w.name))::oid) AS oid,
         to_regclass(format('%%I.%%I', w.counterpart_schema, w.counterpart_name))::oid AS counterpart, p.oid AS function, p.xmin AS function_xmin
    FROM unnest(%(numbers)s::int[], %(oids)s::bigint[], %(schemas)s::text[], %(names)s::text[], %(counterpart_schemas)s::text[],
                %(counterpart_names)s::text[], %(functions)s::text[])
         AS w (table_no, oid, schema, name, counterpart_schema, counterpart_name, function)
    LEFT JOIN pg_proc p ON p.proname = w.function AND p.pronamespace = to_regnamespace('replank')),
logs AS (
  SELECT l.table_no, c.oid, c.relfilenode FROM unnest(%(numbers)s::int[], %(logs)s::text[]) AS l (table_no, name)
    JOIN pg_class c ON c.relname = l.name AND c.relnamespace = to_regnamespace('replank')),
tree (table_no, oid, own) AS (
  SELECT table_no, oid, true FROM wanted
  UNION ALL SELECT table_no, counterpart, false FROM wanted WHERE counterpart IS NOT NULL
  UNION ALL
  SELECT t.table_no, i.inhrelid, t.own FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition)
SELECT table_no, array_agg(line) AS lines FROM (
  SELECT table_no, concat_ws(' ', 'function', 0, function, function_xmin) AS line FROM wanted
  UNION ALL
  SELECT table_no, concat_ws(' ', 'log', 0, oid, relfilenode) FROM logs
  UNION ALL
  SELECT t.table_no, unnest(ARRAY[concat_ws(' ', CASE WHEN t.own THEN 'file' ELSE 'counterpart' END, t.oid, c.relfilenode),
                                  concat_ws(' ', CASE WHEN t.own THEN 'columns' ELSE 'counterpart' END, t.oid, a.columns),
                                  concat_ws(' ', CASE WHEN t.own THEN 'attributes' ELSE 'counterpart' END, t.oid, CASE WHEN t.own THEN a.attributes END)])
    FROM tree t JOIN pg_class c ON c.oid = t.oid
   CROSS JOIN LATERAL (SELECT hashtextextended(string_agg(attnum || ' ' || attname, ','), 0) AS columns, hashtextextended(string_agg(attnum || ' ' || xmin, ','), 0) AS attributes
                         FROM (SELECT attnum, attname, xmin FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS one) AS a
  UNION ALL
  SELECT t.table_no, concat_ws(' ', 'partition', t.oid, i.inhparent, i.xmin) FROM tree t JOIN pg_inherits i ON i.inhrelid = t.oid
    JOIN pg_class c ON c.oid = t.oid AND c.relispartition WHERE t.own
  UNION ALL
  SELECT t.table_no, concat_ws(' ', 'trigger', t.oid, g.oid, g.xmin, g.tgenabled)
    FROM tree t JOIN wanted w USING (table_no) JOIN pg_trigger g ON g.tgrelid = t.oid AND g.tgfoid = w.function WHERE t.own
) AS facts GROUP BY table_no;

-- capturing: the triggers of one function on a table and its partitions, with what decides whether they capture
WITH RECURSIVE tree (oid) AS (
  SELECT %(oid)s::oid
  UNION ALL
  SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition)
SELECT t.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, g.tgname AS "trigger", g.tgenabled::text AS enabled,
       g.tgtype::int AS type, g.tgqual IS NULL AND g.tgattr::text = '' AND g.tgnargs = 0 AS plain, g.tgoldtable AS old_rows, g.tgnewtable AS new_rows
  FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_trigger g ON g.tgrelid = t.oid
       AND g.tgfoid = (SELECT oid FROM pg_proc WHERE proname = %(function)s AND pronamespace = to_regnamespace('replank'))
 ORDER BY t.oid, g.tgname;

-- function_body: what a capture function does, where it runs with its owner's rights
SELECT prosrc AS body FROM pg_proc WHERE proname = %(function)s AND pronamespace = to_regnamespace('replank') AND prosecdef;
