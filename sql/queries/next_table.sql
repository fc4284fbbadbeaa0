-- create_next: the live table's columns, order, checks, defaults and storage, empty and without indexes
CREATE {kind} {next} (LIKE {live} INCLUDING COMMENTS INCLUDING COMPRESSION INCLUDING CONSTRAINTS
  INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE {identity}) {stored}

-- access_method: how the live table is stored
SELECT (SELECT amname FROM pg_am WHERE oid = c.relam) AS name FROM pg_class c WHERE c.oid = %(oid)s::oid;

-- unvalidated_checks: CHECKs, and NOT NULLs from 18 on, that existing rows may break; LIKE would make them binding
SELECT conname AS name, pg_get_constraintdef(oid) AS definition, obj_description(oid, 'pg_constraint') AS comment,
       coninhcount > 0 AS inherited, conislocal AS local
  FROM pg_constraint WHERE conrelid = %(oid)s::oid AND contype IN ('c', 'n') AND NOT convalidated ORDER BY conname;

-- checks_over: CHECKs over any of the given columns, with those of them that they are over
SELECT k.conname AS name, pg_get_constraintdef(k.oid) AS definition, k.convalidated AS valid,
       obj_description(k.oid, 'pg_constraint') AS comment, over.columns
  FROM pg_constraint k
 CROSS JOIN LATERAL (SELECT array_agg(a.attname::text ORDER BY a.attnum) AS columns FROM pg_attribute a
                      WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attname = ANY (%(columns)s::text[])) AS over
 WHERE k.conrelid = %(oid)s::oid AND k.contype = 'c' AND over.columns IS NOT NULL
 ORDER BY k.conname;

-- option_targets: what `options` and `granting` are for: the two tables, and their identity sequences in pairs
WITH RECURSIVE target AS (SELECT %(oid)s::oid AS oid, format('%%I.%%I', %(schema)s::text, %(name)s::text) AS next),
identities AS (
  SELECT d.refobjid AS of_table, a.attname, d.objid AS sequence
    FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND a.attidentity <> ''),
pairs AS (
  SELECT l.sequence AS live, format('%%I.%%I', sn.nspname, s.relname) AS next
    FROM target t JOIN identities l ON l.of_table = t.oid
    JOIN identities n ON n.of_table = t.next::regclass AND n.attname = l.attname
    JOIN pg_class s ON s.oid = n.sequence JOIN pg_namespace sn ON sn.oid = s.relnamespace)

-- options: numbered statements for what LIKE leaves out: options, statistics targets, owner, grants, comment, identity sequences
SELECT n, statement FROM (
  SELECT 10 AS n, format('ALTER TABLE %%s SET (%%s)', t.next, string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ')) AS statement
    FROM target t, pg_class c, pg_options_to_table(c.reloptions) o WHERE c.oid = t.oid GROUP BY t.next
  UNION ALL
  SELECT 11, format('ALTER TABLE %%s SET (%%s)', t.next, string_agg(format('toast.%%I = %%L', o.option_name, o.option_value), ', '))
    FROM target t, pg_class c, pg_class tc, pg_options_to_table(tc.reloptions) o WHERE c.oid = t.oid AND tc.oid = c.reltoastrelid GROUP BY t.next
  UNION ALL
  SELECT 12, format('ALTER TABLE %%s ALTER COLUMN %%I SET STATISTICS %%s', t.next, a.attname, a.attstattarget)
    FROM target t, pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0
  UNION ALL
  SELECT 13, format('ALTER TABLE %%s ALTER COLUMN %%I SET (%%s)', t.next, a.attname,
                    (SELECT string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(a.attoptions) o))
    FROM target t, pg_attribute a WHERE a.attrelid = t.oid AND a.attoptions IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT 14, format('ALTER TABLE %%s SET TABLESPACE %%I', t.next, ts.spcname)
    FROM target t, pg_class c, pg_tablespace ts WHERE c.oid = t.oid AND ts.oid = c.reltablespace
  UNION ALL
  SELECT 15, format('ALTER TABLE %%s REPLICA IDENTITY %%s', t.next, CASE c.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END)
    FROM target t, pg_class c WHERE c.oid = t.oid AND c.relreplident IN ('f', 'n') AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT 16, format('COMMENT ON %%s %%s IS %%L', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, t.next, d)
    FROM target t, pg_class c, obj_description(t.oid, 'pg_class') d WHERE c.oid = t.oid AND d IS NOT NULL
  UNION ALL
  -- Its new owner has to be able to create there. A superuser needs no such right, and grants none.
  SELECT 19, format('GRANT USAGE, CREATE ON SCHEMA %%s TO %%I', nn.relnamespace::regnamespace, r.rolname)
    FROM target t, pg_class c, pg_roles r, pg_class nn, pg_roles me
   WHERE c.oid = t.oid AND r.oid = c.relowner AND r.rolname <> current_user AND nn.oid = t.next::regclass
     AND me.rolname = current_user AND NOT me.rolsuper
  UNION ALL
  SELECT 20, format('ALTER TABLE %%s OWNER TO %%I', t.next, r.rolname)
    FROM target t, pg_class c, pg_roles r WHERE c.oid = t.oid AND r.oid = c.relowner AND r.rolname <> current_user
  UNION ALL
  SELECT 30, format('REVOKE ALL ON TABLE %%s FROM %%s', t.next, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END)
    FROM target t, pg_class n, aclexplode(n.relacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE n.oid = t.next::regclass
  UNION ALL
  SELECT 31, format('REVOKE ALL ON TABLE %%s FROM %%I', t.next, r.rolname)
    FROM target t, pg_class c, pg_roles r WHERE c.oid = t.oid AND c.relacl IS NOT NULL AND r.oid = c.relowner
  UNION ALL
  SELECT 40, format('ALTER SEQUENCE %%s AS %%s', p.next, format_type(q.seqtypid, NULL)) FROM pairs p JOIN pg_sequence q ON q.seqrelid = p.live
  UNION ALL
  SELECT 41, format('REVOKE ALL ON SEQUENCE %%s FROM %%s', p.next, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END)
    FROM pairs p JOIN pg_class n ON n.oid = p.next::regclass, aclexplode(n.relacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
  UNION ALL
  SELECT 43, format('COMMENT ON SEQUENCE %%s IS %%L', p.next, d) FROM pairs p, obj_description(p.live, 'pg_class') d WHERE d IS NOT NULL
) AS s
ORDER BY n, statement;

-- granting: numbered statements for the grants, each in the name of the role that made it where we can be that role; no role grants before it may
, given AS (
  SELECT 32 AS n, 'TABLE ' || t.next AS object, a.privilege_type || '' AS privilege, '' AS columns, a.grantee, a.grantor, a.is_grantable, c.relowner AS owner, t.next::regclass AS of
    FROM target t, pg_class c, aclexplode(c.relacl) a WHERE c.oid = t.oid
  UNION ALL
  SELECT 33, 'TABLE ' || t.next, a.privilege_type, format(' (%%I)', att.attname), a.grantee, a.grantor, a.is_grantable, c.relowner, t.next::regclass
    FROM target t JOIN pg_class c ON c.oid = t.oid JOIN pg_attribute att ON att.attrelid = t.oid AND NOT att.attisdropped, aclexplode(att.attacl) a
  UNION ALL
  SELECT 42, 'SEQUENCE ' || p.next, a.privilege_type, '', a.grantee, a.grantor, a.is_grantable, c.relowner, p.next::regclass
    FROM pairs p JOIN pg_class c ON c.oid = p.live, aclexplode(c.relacl) a),
ranked AS (
  SELECT g.*, 0 AS depth FROM given g
   WHERE g.grantor = g.owner OR NOT pg_has_role(session_user, g.grantor, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
  UNION
  SELECT g.*, r.depth + 1 FROM ranked r JOIN given g ON g.object = r.object AND g.privilege = r.privilege AND r.columns IN ('', g.columns)
                                                 AND g.grantor = r.grantee AND g.grantor <> g.owner
   WHERE r.is_grantable),
placed AS (
  SELECT n, max(depth) AS depth, grantor,
         format('GRANT %%s%%s ON %%s TO %%s%%s', privilege, columns, object, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement,
         (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = "of") AS schema
    FROM ranked GROUP BY n, object, privilege, columns, grantee, grantor, is_grantable, "of")
SELECT n, CASE depth WHEN 0 THEN statement
               ELSE format('GRANT USAGE ON SCHEMA %%1$s TO %%2$I; SET LOCAL ROLE %%2$I; %%3$s; SET LOCAL ROLE %%4$I; REVOKE USAGE ON SCHEMA %%1$s FROM %%2$I',
                           schema, pg_get_userbyid(grantor), statement, current_user) END AS statement
  FROM placed ORDER BY depth, n, statement;

-- indexes: every valid index, spelled without its table's schema (search_path decides where it is built)
SELECT ic.relname AS name, pg_get_indexdef(i.indexrelid, 0, true) AS definition, i.indisunique AS is_unique,
       ts.spcname AS tablespace, con.conname AS constraint_name, con.contype::text AS constraint_type,
       CASE WHEN con.contype = 'x' OR to_jsonb(con) ->> 'conperiod' = 'true' THEN pg_get_constraintdef(con.oid) END AS whole_constraint,
       pg_get_constraintdef(con.oid) AS constraint_definition,
       coalesce(con.condeferrable, false) AS deferrable, coalesce(con.condeferred, false) AS deferred,
       i.indisclustered AS clustered, i.indisreplident AS replica_identity,
       obj_description(i.indexrelid, 'pg_class') AS comment, obj_description(con.oid, 'pg_constraint') AS constraint_comment
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
  LEFT JOIN pg_tablespace ts ON ts.oid = ic.reltablespace
  LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = %(oid)s::oid AND i.indisvalid
 ORDER BY i.indisprimary DESC, i.indisunique DESC, ic.relname;

-- index_parts: indexes of partitions that are parts of an index of their parent, the given table
SELECT p.relname AS parent, n.nspname AS schema, c.relname AS name
  FROM pg_index pi JOIN pg_class p ON p.oid = pi.indexrelid JOIN pg_inherits i ON i.inhparent = p.oid
  JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE pi.indrelid = %(oid)s::oid AND pi.indisvalid
 ORDER BY p.relname, n.nspname, c.relname;

-- index_statistics: statistics targets on expression columns of indexes
SELECT ic.relname AS name, a.attnum::int AS column_no, a.attstattarget::int AS target
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = ic.oid
 WHERE i.indrelid = %(oid)s::oid AND a.attstattarget >= 0;

-- binding_checks: CHECKs of a relation that all its rows fulfil
SELECT conname AS name, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint WHERE conrelid = %(oid)s::oid AND contype = 'c' AND convalidated ORDER BY conname;

-- generated: generated columns of a relation, with what they are made of
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS expression,
       CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END AS kind,
       ARRAY(SELECT DISTINCT u.attname::text FROM pg_depend p JOIN pg_attribute u ON u.attrelid = p.refobjid AND u.attnum = p.refobjsubid
              WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid
                AND u.attnum <> a.attnum ORDER BY 1) AS uses
  FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = %(oid)s::oid AND a.attgenerated <> '' AND NOT a.attisdropped ORDER BY a.attnum;
