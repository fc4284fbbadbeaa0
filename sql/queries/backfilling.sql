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
