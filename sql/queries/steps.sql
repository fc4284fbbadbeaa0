-- relations: ordinary and partitioned tables by name, with their keys; partitions belong to their parents
SELECT n.nspname AS schema, c.relname AS name, c.oid::bigint AS oid, c.relkind = 'p' AS partitioned,
       coalesce((SELECT array_agg(a.attname ORDER BY k.n) FROM pg_index i
                 CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
                  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                 WHERE i.indrelid = c.oid AND i.indisprimary), '{}')::text[] AS key,
       ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attnum)::text[] AS columns,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 16 <> 0) AS update_triggers
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'replank%%'
 ORDER BY 1, 2;

-- unled_foreign_keys: foreign keys whose columns no valid, whole index begins with, in any order
SELECT n.nspname AS schema, c.relname AS table_name, f.conname AS name,
       ARRAY(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, n)
              JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum ORDER BY k.n)::text[] AS columns
  FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE f.contype = 'f' AND NOT c.relispartition AND f.conparentid = 0
   AND n.nspname NOT LIKE 'replank%%'
   AND NOT EXISTS (
     SELECT FROM pg_index i
      WHERE i.indrelid = f.conrelid AND i.indisvalid AND i.indpred IS NULL
        AND (SELECT array_agg(k.attnum ORDER BY k.attnum) FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
              WHERE k.n <= cardinality(f.conkey))
          = (SELECT array_agg(k ORDER BY k) FROM unnest(f.conkey) AS k))
 ORDER BY 1, 2, 3;

-- has_uuid_field: whether a table has this column as step 01 makes it: native, never NULL, unique
SELECT EXISTS (SELECT FROM pg_attribute a
                 JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                WHERE a.attrelid = %(oid)s::oid AND a.attname = %(name)s AND a.atttypid = 'uuid'::regtype AND a.attnotnull AND NOT a.attisdropped);

-- has_index: whether a valid index of this name is the table's
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %(oid)s::oid AND c.relname = %(name)s AND i.indisvalid);

-- has_trigger: whether a trigger of this name stands on the table
SELECT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = %(oid)s::oid AND t.tgname = %(name)s);

-- leaves: partitions of a table that store rows
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_partition_tree(%(oid)s::oid::regclass) AS t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.isleaf AND t.level > 0 ORDER BY 1, 2;

-- deepest: how many levels of partitions a table has
SELECT max(level) FROM pg_partition_tree(%(oid)s::oid::regclass);

-- names: names that are taken in a schema by tables, indexes and the like
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s;

-- schema_exists: whether a schema is there
SELECT to_regnamespace(pg_catalog.quote_ident(%(schema)s)) IS NOT NULL;

-- enum: the values of an enum type in their order; no row where there is no such type
SELECT ARRAY(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)::text[] AS labels, t.typtype
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %(schema)s AND t.typname = %(name)s;

-- indexes: every index of the application's tables, with what there is to judge it by
SELECT n.nspname AS schema, ic.relname AS name, c.relname AS table_name, i.indexrelid::bigint AS oid,
       pg_get_indexdef(i.indexrelid) AS definition, i.indisunique AS is_unique, i.indisvalid AS valid,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) OR i.indisreplident OR i.indisclustered
         OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) OR ic.relkind = 'I' AS needed,
       am.amname AS method, pg_relation_size(i.indexrelid) AS bytes, i.indnkeyatts AS key_count,
       i.indkey::int2[] AS columns, i.indclass::oid[] AS classes, i.indcollation::oid[] AS collations, i.indoption::int2[] AS options,
       coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate, coalesce(pg_get_expr(i.indexprs, i.indrelid), '') AS expressions,
       coalesce(s.idx_scan, 0) AS scans, ic.reltuples AS rows,
       extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, pg_postmaster_start_time())) / 86400 AS counted_days,
       (SELECT sum(coalesce(p.avg_width, 8)) FROM unnest(i.indkey) AS k (attnum)
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          LEFT JOIN pg_stats p ON p.schemaname = n.nspname AND p.tablename = c.relname AND p.attname = a.attname) AS width,
       current_setting('block_size')::int AS block_size
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = ic.relnamespace JOIN pg_am am ON am.oid = ic.relam
  JOIN pg_stat_database d ON d.datname = current_database()
  LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'replank%%'
   AND c.relkind IN ('r', 'p', 'm') ORDER BY 1, 2;

-- column_uses: what stands on a column of a table: views, keys, generated columns, policies, triggers, and functions whose text names both
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what
  FROM pg_attribute a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
 WHERE a.attrelid = %(oid)s::oid AND a.attname = %(column)s
   AND (d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass)
        OR (d.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint k WHERE k.oid = d.objid AND k.contype IN ('p', 'u', 'f', 'x')))
        OR (d.classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef f WHERE f.oid = d.objid AND f.adnum <> a.attnum)))
UNION
SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'replank%%'
   AND strpos(lower(p.prosrc), lower(%(column)s)) > 0 AND strpos(lower(p.prosrc), lower(%(table)s)) > 0
 ORDER BY 1;
