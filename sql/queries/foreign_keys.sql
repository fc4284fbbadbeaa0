-- leaves: the leaves of a partitioned table; no row for a plain one
WITH RECURSIVE tree (oid, relkind) AS (
  SELECT i.inhrelid, c.relkind FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AND c.relispartition
  UNION ALL
  SELECT i.inhrelid, c.relkind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid)
SELECT n.nspname AS schema, c.relname AS name
  FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.relkind <> 'p' ORDER BY n.nspname, c.relname;

-- is_there: whether a table has a constraint of this name
SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = %(name)s
                  AND conrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))) AS there;

-- is_partition: whether a table is a partition of another; false where it is gone
SELECT coalesce((SELECT c.relispartition FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = %(schema)s AND c.relname = %(table)s), false) AS is_partition;
