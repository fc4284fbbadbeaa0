-- probe: the file of the table that defaults are tried on
SELECT pg_relation_filenode('pg_temp.replank_probe'::regclass) AS filenode;

-- may_be_quiet: whether this role may set session_replication_role
SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       OR has_parameter_privilege('session_replication_role', 'SET') AS allowed;

-- triggers: the application's own triggers that fire on UPDATE
SELECT coalesce(array_agg(DISTINCT tgname::text), '{}') AS names FROM pg_trigger
 WHERE tgrelid = ANY (%(oids)s::oid[]) AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 16 <> 0 AND tgname NOT LIKE 'replank\_%%';

-- keyed: columns that foreign keys of the tables check
SELECT coalesce(array_agg(DISTINCT a.attname::text), '{}') AS names
  FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
 WHERE k.contype = 'f' AND k.conrelid = ANY (%(oids)s::oid[]);

-- valid_index: whether an index of this name is there, and usable
SELECT i.indisvalid AS valid FROM pg_index i WHERE i.indexrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text));

-- constraint_of: whether a table has a constraint of this name
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = %(oid)s::oid AND conname = %(name)s) AS there;

-- dead_rows: dead rows of the heaps, as the statistics know them, and live ones
SELECT coalesce(sum(n_dead_tup), 0)::bigint AS dead, coalesce(sum(n_live_tup), 0)::bigint AS live
  FROM pg_stat_user_tables WHERE relid = ANY (%(oids)s::oid[]);

-- null_share: how large a share of a column is NULL, where statistics know it
SELECT max(s.null_frac)::float8 AS share FROM pg_stats s
 WHERE s.schemaname = %(schema)s AND s.tablename = %(table)s AND s.attname = %(column)s;

-- broken_fill_relations: the table or its partitions on which what fills new rows had a gap since it was made
WITH RECURSIVE tree (oid) AS (
  SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid
  UNION ALL
  SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition)
SELECT format('%%I.%%I', n.nspname, c.relname) AS relation
  FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_proc p ON p.proname = %(function)s::text AND p.pronamespace = to_regnamespace('replank')
  LEFT JOIN pg_trigger g ON g.tgrelid = t.oid AND g.tgfoid = p.oid
 WHERE g.oid IS NULL OR g.tgenabled <> 'A' OR g.xmin <> p.xmin
 ORDER BY n.nspname, c.relname;
