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

-- readable_tables: tables whose rows this role may read
SELECT c.oid::bigint AS oid FROM pg_class c
 WHERE c.relkind IN ('r', 'p') AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT');
