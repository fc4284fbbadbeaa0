-- extensions: extensions that keep tables in a way of their own, where they are installed
SELECT extname AS name FROM pg_extension WHERE extname IN ('citus', 'timescaledb');

-- distributed_tables: which of the relations Citus distributes
SELECT p.logicalrelid::oid::bigint AS oid, p.logicalrelid::regclass::text AS name, 'Citus' AS store
  FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid::oid = ANY (%(oids)s::oid[]) ORDER BY 2;

-- hypertables: which of the relations TimescaleDB keeps in chunks
SELECT c.oid::bigint AS oid, c.oid::regclass::text AS name, 'TimescaleDB' AS store
  FROM _timescaledb_catalog.hypertable h JOIN pg_namespace n ON n.nspname = h.schema_name
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
 WHERE c.oid = ANY (%(oids)s::oid[]) ORDER BY 2;

-- access_methods: which of the relations are stored otherwise than as a heap
SELECT c.oid::bigint AS oid, c.oid::regclass::text AS name, am.amname AS store
  FROM pg_class c JOIN pg_am am ON am.oid = c.relam
 WHERE c.oid = ANY (%(oids)s::oid[]) AND c.relkind IN ('r', 'p') AND am.amname <> 'heap' ORDER BY 2;

-- relation_kind: what a name stands for that is no table; nothing where there is nothing of that name
SELECT CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table' WHEN 'S' THEN 'a sequence'
                      WHEN 'c' THEN 'a composite type' WHEN 'i' THEN 'an index' WHEN 'I' THEN 'an index'
                      WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a partitioned table'
                      ELSE format('a relation of kind %%s, which this version does not know', c.relkind) END
         || coalesce(' of extension ' || e.extname, '') AS kind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND (c.relkind NOT IN ('r', 'p') OR e.oid IS NOT NULL);
