-- indexes: every valid index of a table: what its definition says behind the table's name (NULL if it does not begin as expected), and its columns
SELECT ic.relname AS name, i.indisunique AS is_unique,
       CASE WHEN starts_with(d.definition, p.prefix) THEN substr(d.definition, length(p.prefix) + 1) END AS tail,
       %(column)s = ANY (k.keys) AS holds_column,
       -- A key's columns and options as a constraint has them: no expressions, no operator classes of its own.
       format('%%s(%%s)%%s%%s', CASE WHEN i.indnullsnotdistinct THEN 'NULLS NOT DISTINCT ' ELSE '' END,
              array_to_string(ARRAY(SELECT quote_ident(c) FROM unnest(k.keys || %(column)s::text) AS c), ', '),
              ' INCLUDE (' || k.included || ')', o.options) AS constraint_tail,
       format(' USING btree (%%s)%%s%%s%%s', array_to_string(ARRAY(SELECT quote_ident(c) FROM unnest(k.keys || %(column)s::text) AS c), ', '),
              ' INCLUDE (' || k.included || ')', CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END, o.options) AS index_tail
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.indexrelid, 0, true) AS definition) AS d
  CROSS JOIN LATERAL (SELECT format('CREATE %%sINDEX %%I ON %%s%%I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, ic.relname,
                                    CASE ic.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, c.relname) AS prefix) AS p
  CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY u.n) FILTER (WHERE u.n <= i.indnkeyatts) AS keys,
           string_agg(quote_ident(a.attname), ', ' ORDER BY u.n) FILTER (WHERE u.n > i.indnkeyatts) AS included
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (attnum, n)
      LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0) AS k
  LEFT JOIN LATERAL (
    SELECT format(' WITH (%%s)', string_agg(format('%%I = %%L', option_name, option_value), ', ')) AS options
      FROM pg_options_to_table(ic.reloptions) HAVING count(*) > 0) AS o ON true
 WHERE i.indrelid = %(oid)s::oid AND i.indisvalid;

-- only_on_partitions: what belongs to a single partition and has no place where there are others
SELECT what, object FROM (
  SELECT 'index' AS what, i.indexrelid::regclass::text AS object FROM pg_index i
   WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
     AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
  UNION ALL
  SELECT CASE contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, conname || ' on ' || conrelid::regclass
    FROM pg_constraint
   WHERE (conrelid = ANY (%(oids)s::oid[]) OR (contype = 'f' AND confrelid = ANY (%(oids)s::oid[])))
     AND contype IN ('c', 'f', 'p', 'u', 'x') AND conparentid = 0 AND coninhcount = 0
  UNION ALL
  SELECT 'trigger', tgname || ' on ' || tgrelid::regclass FROM pg_trigger
   WHERE tgrelid = ANY (%(oids)s::oid[]) AND NOT tgisinternal AND tgparentid = 0 AND tgname NOT LIKE 'replank\_capture\_%%'
  UNION ALL
  SELECT 'row security policy', polname || ' on ' || polrelid::regclass FROM pg_policy WHERE polrelid = ANY (%(oids)s::oid[])
  UNION ALL
  SELECT 'publication', pubname || ' of ' || prrelid::regclass FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid
   WHERE prrelid = ANY (%(oids)s::oid[])
  UNION ALL
  SELECT 'extended statistics', stxname || ' on ' || stxrelid::regclass FROM pg_statistic_ext WHERE stxrelid = ANY (%(oids)s::oid[])
) AS found
ORDER BY what, object;

-- names_in_use: which of these names relations of a schema have that stay there
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s::text[])
   AND c.oid <> ALL (%(moving)s::oid[])
   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = c.oid AND i.indrelid = ANY (%(moving)s::oid[]))
 ORDER BY c.relname;

-- type_kind: what a type is called in the catalogue; of a domain, what it is made of
WITH RECURSIVE made_of (oid, base) AS (
  SELECT oid, typbasetype FROM pg_type WHERE oid = pg_typeof({typed})::oid
  UNION ALL
  SELECT t.oid, t.typbasetype FROM made_of m JOIN pg_type t ON t.oid = m.base)
SELECT t.typname AS name FROM made_of m JOIN pg_type t ON t.oid = m.oid WHERE m.base = 0;

-- lock_table: for how many locks the server has room
SELECT current_setting('max_locks_per_transaction')::bigint
       * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint) AS locks;

-- locks_needed: what a transaction over all these relations would lock, and for how many locks each of how many sessions has room
SELECT (SELECT count(*) FROM pg_class WHERE oid = ANY (%(oids)s::oid[])) AS relations,
       (SELECT count(*) FROM pg_index WHERE indrelid = ANY (%(oids)s::oid[])) AS indexes,
       current_setting('max_locks_per_transaction')::bigint AS setting,
       current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint AS sessions;

-- range_column: the one column that a table is partitioned by range of, and its type; no row if it is partitioned otherwise
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
 WHERE p.partrelid = %(oid)s::oid AND p.partstrat = 'r' AND p.partnatts = 1;

-- ranges: the partitions of such a table with their bounds (NULL for MINVALUE and MAXVALUE), whether a range meets or covers them, and whether they ended before a time
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, i.inhdetachpending AS pending, b.text = 'DEFAULT' AS is_default,
       b.text <> 'DEFAULT' AND m.found IS NULL AS unclear,
       m.found IS NOT NULL AND (m.found[1] IS NULL OR m.found[1]::{type} < %(upper)s::{type})
                           AND (m.found[2] IS NULL OR m.found[2]::{type} > %(lower)s::{type}) AS meets,
       m.found IS NOT NULL AND (m.found[1] IS NULL OR m.found[1]::{type} <= %(lower)s::{type})
                           AND (m.found[2] IS NULL OR m.found[2]::{type} >= %(upper)s::{type}) AS covers,
       coalesce(m.found[2]::{type} <= %(cut)s::{type}, false) AS ended
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS text) AS b
  -- One column of a time or uuid: the server writes its bounds as literals without a quote inside.
  CROSS JOIN LATERAL (
    SELECT regexp_match(b.text, '^FOR VALUES FROM \((?:MINVALUE|''([^'']+)'')\) TO \((?:MAXVALUE|''([^'']+)'')\)$') AS found) AS m
 WHERE i.inhparent = %(oid)s::oid
 ORDER BY m.found[1]::{type} NULLS FIRST, c.relname;

-- notices_moves: what would notice that rows are moved out of a partition: foreign keys to the table, triggers on DELETE
SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass AS what, false AS reverse_capture FROM pg_constraint
 WHERE contype = 'f' AND confrelid = ANY (%(oids)s::oid[])
UNION ALL
SELECT 'trigger ' || tgname, starts_with(tgname, 'replank_capture_back') FROM pg_trigger
 WHERE tgrelid = %(partition)s::oid AND NOT tgisinternal AND tgtype & 8 <> 0 AND tgenabled <> 'D'
 ORDER BY 1;

-- stored_columns: the columns of a table that an INSERT may name
SELECT attname AS name FROM pg_attribute
 WHERE attrelid = %(oid)s::oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum;
