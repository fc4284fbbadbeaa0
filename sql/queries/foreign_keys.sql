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

-- definition: how a foreign key is defined, in names that the present search_path finds
SELECT pg_get_constraintdef(%(oid)s::oid) AS definition;

-- stand_in: the columns of a table, as CREATE TABLE declares them; no right on the table is needed
SELECT string_agg(format('%%I %%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
                         ' COLLATE ' || CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END), ', ' ORDER BY a.attnum) AS columns
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AND a.attnum > 0 AND NOT a.attisdropped;

-- unique_key: what makes the columns unique that a foreign key leads to: a constraint, or an index on a table that the search_path finds
SELECT u.conname AS name, pg_get_constraintdef(u.oid) AS constraint_definition, pg_get_indexdef(k.conindid, 0, true) AS index_definition, k.conindid::bigint AS index
  FROM pg_constraint k LEFT JOIN pg_constraint u ON u.conindid = k.conindid AND u.contype IN ('p', 'u', 'x')
 WHERE k.oid = %(oid)s::oid;
