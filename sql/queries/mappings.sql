-- compatibility_views: views whose comment says that they stand for a table, with that table and both names of their columns
WITH stands AS (
  SELECT DISTINCT v.oid AS view, t.oid AS of_table, n.nspname, v.relname, t.relname AS table_name
    FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace
    JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
    JOIN pg_class t ON t.oid = d.refobjid AND t.relnamespace = v.relnamespace
   WHERE v.relkind = 'v' AND starts_with(obj_description(v.oid, 'pg_class'), %(mark)s) AND n.nspname NOT LIKE 'replank%%'),
placed AS (
  SELECT attrelid, attname::text AS name, row_number() OVER (PARTITION BY attrelid ORDER BY attnum) AS n
    FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN (SELECT view FROM stands UNION SELECT of_table FROM stands))
-- Columns of the view are those of the table in its order; what the table got since comes behind them.
SELECT s.nspname AS schema, s.relname AS name, s.table_name AS of_table, array_agg(o.name ORDER BY o.n) AS old, array_agg(p.name ORDER BY o.n) AS new
  FROM stands s JOIN placed o ON o.attrelid = s.view JOIN placed p ON p.attrelid = s.of_table AND p.n = o.n
 GROUP BY 1, 2, 3 ORDER BY 1, 2;

-- renamed: what step 07 must know of the application's tables beside their columns
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relrowsecurity AS row_security,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') AS of_extension,
       EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid IN (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))) AS subscribed,
       EXISTS (SELECT FROM pg_publication_tables p WHERE p.schemaname = n.nspname AND p.tablename = c.relname) AS published,
       EXISTS (SELECT FROM pg_attribute a, aclexplode(a.attacl) AS x
                WHERE a.attrelid = c.oid AND x.privilege_type = 'SELECT'
                  AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) AS w WHERE w.privilege_type = 'SELECT' AND w.grantee IN (0, x.grantee))) AS read_by_column,
       ARRAY(SELECT i.inhparent::bigint FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'replank%%'
 ORDER BY 2, 3;

-- taken: names that a table of a schema cannot get: relations, and types other than the arrays that make way
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s
UNION
SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %(schema)s AND t.typcategory <> 'A';

-- trigger_functions: what the triggers of a table and its partitions call, with its text
SELECT DISTINCT fn.nspname AS schema, p.proname AS name, p.prosrc AS text
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = p.pronamespace
 WHERE NOT t.tgisinternal AND t.tgrelid IN (SELECT %(oid)s::oid UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid))
 ORDER BY 1, 2;

-- row_types: functions and columns that know a table's row by its type
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS object
  FROM pg_class c JOIN pg_type t ON t.oid = c.reltype
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
 WHERE c.oid = %(oid)s::oid AND (d.classid = 'pg_proc'::regclass OR (d.classid = 'pg_class'::regclass AND d.objsubid > 0))
 ORDER BY 1;

-- functions: functions that are written as text, which the server does not follow
SELECT n.nspname AS schema, p.proname AS name, p.prosrc AS text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prosqlbody IS NULL AND p.prokind <> 'a' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'replank%%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 1, 2;

-- reserved: words that a name must be quoted for
SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T') ORDER BY 1;
