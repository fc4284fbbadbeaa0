-- links: which of the given tables are joined to which by classic inheritance, each child's parents in their order
SELECT i.inhrelid::bigint AS child, i.inhparent::bigint AS parent
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhrelid = ANY (%(oids)s::oid[]) AND i.inhparent = ANY (%(oids)s::oid[]) AND NOT c.relispartition AND c.relkind NOT IN ('i', 'I')
 ORDER BY i.inhrelid, i.inhseqno;

-- families: every table that classic inheritance joins to each of the given ones, directly or over others, itself included
WITH RECURSIVE link (one, other) AS (
  SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE NOT c.relispartition AND c.relkind NOT IN ('i', 'I')),
family (root, oid) AS (
  SELECT oid, oid FROM unnest(%(oids)s::oid[]) AS given (oid)
  UNION
  SELECT f.root, CASE f.oid WHEN l.one THEN l.other ELSE l.one END FROM family f JOIN link l ON f.oid IN (l.one, l.other))
SELECT f.root::bigint AS root, f.oid::bigint AS oid, n.nspname AS schema, c.relname AS name,
       CASE WHEN c.relkind = 'f' THEN 'a foreign table' WHEN c.relpersistence = 't' THEN 'a temporary table' ELSE '' END AS what
  FROM family f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY f.root, n.nspname, c.relname;

-- lines: a line of a table's fingerprint for each of its parents and children
SELECT line FROM (
  SELECT 1 AS n, i.inhseqno, format('inheritance of %%s', i.inhparent::regclass) AS line FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhrelid = %(oid)s::oid AND NOT c.relispartition
  UNION ALL
  SELECT 2, 0, format('inheritance by %%s', i.inhrelid::regclass) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = %(oid)s::oid AND NOT c.relispartition
) AS found ORDER BY n, inhseqno, line;

-- child_columns: declarations of the columns that a live inheritance child has declared itself, or that the plan adds, as the next one's stub has them
SELECT format('%%I %%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation::text END) AS declared
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attribute l ON l.attrelid = %(oid)s::oid AND l.attname = a.attname AND NOT l.attisdropped
 WHERE a.attrelid = %(stub)s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(l.attislocal, true)
 ORDER BY a.attnum;

-- child_constraints: the stub's constraints that are the child's own; with a definition those that cannot be inherited
SELECT k.conname AS name, CASE WHEN k.connoinherit THEN pg_get_constraintdef(k.oid) END AS definition
  FROM pg_constraint k LEFT JOIN pg_constraint l ON l.conrelid = %(oid)s::oid AND l.conname = k.conname
 WHERE k.conrelid = %(stub)s::regclass AND k.contype IN ('c', 'n') AND (k.connoinherit OR coalesce(l.conislocal, true))
 ORDER BY k.conname;

-- child_attributes: statements for what a child does not inherit from its stub: comments and identities
SELECT format('COMMENT ON COLUMN %%s.%%I IS %%L', %(child)s::text, a.attname, d.description) AS statement
  FROM pg_description d JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND NOT a.attisdropped
 WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %(oid)s::oid AND d.objsubid > 0
UNION ALL
SELECT format('COMMENT ON CONSTRAINT %%I ON %%s IS %%L', k.conname, %(child)s::text, d)
  FROM pg_constraint k JOIN pg_constraint made ON made.conrelid = (%(child)s::text)::regclass AND made.conname = k.conname, obj_description(k.oid, 'pg_constraint') AS d
 WHERE k.conrelid = %(oid)s::oid AND k.contype IN ('c', 'n') AND d IS NOT NULL
UNION ALL
SELECT format('ALTER TABLE %%s ALTER COLUMN %%I ADD GENERATED %%s AS IDENTITY (INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s START WITH %%s CACHE %%s %%s)',
              %(child)s::text, a.attname, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
              s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
  FROM pg_attribute a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
   AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
  JOIN pg_sequence s ON s.seqrelid = d.objid
 WHERE a.attrelid = %(oid)s::oid AND a.attidentity <> '';

-- children_of: links of classic inheritance among the given tables, by name
SELECT n.nspname AS schema, c.relname AS name, pn.nspname AS parent_schema, p.relname AS parent_name
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
 WHERE i.inhparent = ANY (%(oids)s::oid[]) AND i.inhrelid = ANY (%(oids)s::oid[]) AND NOT c.relispartition AND c.relkind = 'r'
 ORDER BY c.oid, i.inhseqno;
