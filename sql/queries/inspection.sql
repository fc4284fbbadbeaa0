-- domain_columns: columns of domains over text: they may hold uuids, but their type carries rules of its own
SELECT a.attrelid::bigint AS oid, a.attname AS name
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = t.typbasetype
 WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
   AND t.typtype = 'd' AND b.typname IN ('text', 'varchar', 'bpchar')
 ORDER BY a.attrelid, a.attnum;

-- unique_columns: columns that take part in any unique index, nullable and partial ones too
SELECT DISTINCT i.indrelid::bigint AS oid, a.attname AS name
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
 WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisunique AND a.attnum > 0;

-- readable_tables: tables all of whose rows this role may read, and all of whose rows are on this server: under a policy that hides some, ours would fail
SELECT c.oid::bigint AS oid FROM pg_class c
 WHERE c.relkind IN ('r', 'p') AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
   AND NOT row_security_active(c.oid)
   AND NOT (c.relkind = 'p' AND EXISTS (
         SELECT FROM pg_partition_tree(c.oid) AS part JOIN pg_class leaf ON leaf.oid = part.relid WHERE leaf.relkind = 'f'));


-- few_values: text columns of the given tables that hold few values, as the statistics know them: all of them, the most frequent ones first
SELECT c.oid::bigint AS oid, s.attname AS name, s.most_common_vals::text::text[] AS values
  FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname AND a.attgenerated = ''
  JOIN pg_type t ON t.oid = a.atttypid AND t.typname IN ('text', 'varchar', 'bpchar')
 WHERE c.oid = ANY (%(oids)s::oid[]) AND s.n_distinct BETWEEN 2 AND %(most)s AND c.reltuples >= %(rows)s
   AND s.inherited = (c.relkind = 'p') AND cardinality(s.most_common_vals::text::text[]) = s.n_distinct
   AND (SELECT sum(f) FROM unnest(s.most_common_freqs) AS f) + s.null_frac > 0.999
 ORDER BY n.nspname, c.relname, a.attnum;
