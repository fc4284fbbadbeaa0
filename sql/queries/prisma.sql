-- indexes: every index of some tables with the columns it is over; `columns` is NULL where it is over an expression
SELECT i.indrelid::bigint AS oid, ic.relname AS name, i.indisprimary AS is_primary, i.indisunique AS is_unique,
       con.contype::text AS constraint_type, am.amname AS method, i.indpred IS NOT NULL AS partial,
       NOT EXISTS (SELECT FROM unnest(i.indclass::oid[]) AS k(opclass) JOIN pg_opclass o ON o.oid = k.opclass WHERE NOT o.opcdefault)
         AND NOT EXISTS (SELECT FROM unnest(i.indoption::int2[]) AS k(options) WHERE k.options <> 0) AS usual,
       CASE WHEN i.indexprs IS NULL THEN
         (SELECT array_agg(a.attname::text ORDER BY k.n)
            FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) END AS columns,
       replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition, pg_get_constraintdef(con.oid) AS constraint_definition
  FROM pg_index i
  JOIN pg_class ic ON ic.oid = i.indexrelid
  JOIN pg_am am ON am.oid = ic.relam
  LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indislive
 ORDER BY i.indrelid, i.indisprimary DESC, ic.relname;

-- conditional_indexes: a table's indexes with a condition or an expression that speak of any of some columns
SELECT ic.relname AS name, replace(pg_get_indexdef(i.indexrelid, 0, true), ' ON ONLY ', ' ON ') AS definition,
       pg_get_constraintdef(con.oid) AS constraint_definition
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
  LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = %(oid)s::oid AND i.indislive AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL)
   AND EXISTS (
     SELECT FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
      WHERE d.classid = 'pg_class'::regclass AND d.objid IN (i.indexrelid, con.oid) AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = i.indrelid AND a.attname = ANY (%(columns)s::text[]))
 ORDER BY ic.relname;

-- enums: every enum of the user's own schemas with its labels in order
SELECT t.oid::bigint AS oid, n.nspname AS schema, t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_enum e ON e.enumtypid = t.oid
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
 GROUP BY t.oid, n.nspname, t.typname ORDER BY n.nspname, t.typname;

-- views: the views and materialized views over some tables, at any depth, the ones that others read first
WITH RECURSIVE above (oid, depth) AS (
  SELECT DISTINCT r.ev_class, 1 FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (%(oids)s::oid[]) AND r.ev_class <> d.refobjid
  UNION
  SELECT r.ev_class, a.depth + 1 FROM above a
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> a.oid)
SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'm' AS materialized, pg_get_viewdef(c.oid) AS definition
  FROM (SELECT oid, max(depth) AS depth FROM above GROUP BY oid) AS a
  JOIN pg_class c ON c.oid = a.oid AND c.relkind IN ('v', 'm') JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT LIKE 'replank%%'
 ORDER BY a.depth, n.nspname, c.relname;

-- sequences: the sequences that columns of a table own, but for those of identity columns
SELECT s.relname AS name, n.nspname AS schema, a.attname AS "column"
  FROM pg_depend d
  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s::oid AND d.deptype = 'a'
 ORDER BY s.relname;

-- normalized_column: the only column of a relation as the server spells it
SELECT format_type(a.atttypid, a.atttypmod) AS type, coalesce(e.typtype, t.typtype) = 'e' AS enum,
       coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS "default"
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = 'pg_temp.replank_normalized'::regclass AND a.attnum = 1;

-- normalized_index: the definition of the only index of a relation, as that of another table's
SELECT regexp_replace(pg_get_indexdef(i.indexrelid, 0, true), ' ON (pg_temp\w*\.)?replank_normalized ', ' ON ' || {table}::regclass::text || ' ')
  FROM pg_index i WHERE i.indrelid = 'pg_temp.replank_normalized'::regclass;

-- enum_types: which of a table's columns are enums or arrays of enums
SELECT a.attname AS name
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
 WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(e.typtype, t.typtype) = 'e';

-- has_history: whether Prisma keeps a migration history here
SELECT to_regclass(format('%%I._prisma_migrations', %(schema)s::text)) IS NOT NULL AS there;
