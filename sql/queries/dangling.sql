-- word_columns: columns of stored tables that may hold texts, arrays of texts or JSON, with the table that they are a partition of
WITH heap AS (
  SELECT c.oid, n.nspname AS schema, c.relname AS name, coalesce(pg_partition_root(c.oid), c.oid)::oid AS root,
         pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'replank%%')
SELECT h.oid::bigint AS heap, h.schema, h.name, h.root::bigint AS table, rn.nspname AS root_schema, rc.relname AS root_name, h.blocks,
       a.attname AS column, CASE WHEN b.typname IN ('json', 'jsonb') THEN b.typname WHEN e.typname IN ('json', 'jsonb') THEN 'documents' WHEN b.typcategory = 'A' THEN 'array' ELSE 'text' END AS form,
       has_schema_privilege(rc.relnamespace, 'USAGE') AND (has_table_privilege(h.oid, 'SELECT') OR has_column_privilege(h.oid, a.attnum, 'SELECT')) AS readable
  FROM heap h JOIN pg_class rc ON rc.oid = h.root JOIN pg_namespace rn ON rn.oid = rc.relnamespace
  JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid) LEFT JOIN pg_type e ON e.oid = b.typelem
 WHERE b.typcategory = 'S' OR b.typname IN ('json', 'jsonb') OR b.typcategory = 'A' AND (e.typcategory = 'S' OR e.typname IN ('json', 'jsonb'))
 ORDER BY h.schema, h.name, a.attnum;

-- referred_alike: columns of valid foreign keys of one column that lead to another of the given columns: their texts are the other's
SELECT k.conrelid::bigint AS oid, a.attname AS column, k.confrelid::bigint AS ref_oid, r.attname AS ref_column
  FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] JOIN pg_attribute r ON r.attrelid = k.confrelid AND r.attnum = k.confkey[1]
 WHERE k.contype = 'f' AND k.convalidated AND cardinality(k.conkey) = 1 AND k.conrelid = ANY (%(oids)s::oid[]) AND k.confrelid = ANY (%(oids)s::oid[]);

-- create_changed: where the texts are kept that become other ids, for the session
CREATE TEMPORARY TABLE replank_changed (word text COLLATE "C" NOT NULL, source integer NOT NULL);

-- create_words: the same, each once; texts may be too long for a btree
CREATE TEMPORARY TABLE replank_words AS SELECT DISTINCT word, source FROM pg_temp.replank_changed;

-- index_words: for the texts of one row at a time
CREATE INDEX ON pg_temp.replank_words USING hash (word);

-- drop_changed: they have done their work
DROP TABLE IF EXISTS pg_temp.replank_changed, pg_temp.replank_words;

-- count_found: of some blocks of a table, how many of its texts become other ids, by column and by whose ids they are
SELECT w.n, c.source, count(*) AS count, (array_agg(DISTINCT pg_catalog.left(w.word, {length})))[1:{examples}] AS examples
  FROM ONLY {table} AS live CROSS JOIN LATERAL ({words}) AS w JOIN pg_temp.replank_words c ON c.word = w.word COLLATE "C"
 WHERE live.ctid >= {lower}::tid AND live.ctid < {upper}::tid
 GROUP BY w.n, c.source;

-- count_paths: the same of one JSON column, by the path in the document
SELECT c.source, w.path, count(*) AS count
  FROM ONLY {table} AS live CROSS JOIN LATERAL (
    WITH RECURSIVE walk (path, v) AS (
      SELECT '$', {document}
      UNION ALL
      SELECT walk.path || step.path, step.v FROM walk CROSS JOIN LATERAL (
        SELECT '.' || CASE WHEN m.key ~ '^[A-Za-z_][A-Za-z0-9_]*$' THEN m.key ELSE to_json(m.key)::text END, m.value
          FROM jsonb_each(CASE jsonb_typeof(walk.v) WHEN 'object' THEN walk.v END) AS m
        UNION ALL
        SELECT '[*]', e FROM jsonb_array_elements(CASE jsonb_typeof(walk.v) WHEN 'array' THEN walk.v END) AS e) AS step (path, v))
    SELECT path, v #>> '{{}}' AS word FROM walk WHERE jsonb_typeof(v) IN ('string', 'number')
    UNION ALL
    SELECT path || '.keyvalue().key', k FROM walk CROSS JOIN LATERAL jsonb_object_keys(CASE jsonb_typeof(v) WHEN 'object' THEN v END) AS k) AS w
  JOIN pg_temp.replank_words c ON c.word = w.word COLLATE "C"
 WHERE live.ctid >= {lower}::tid AND live.ctid < {upper}::tid
 GROUP BY c.source, w.path;
