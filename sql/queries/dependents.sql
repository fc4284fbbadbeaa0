-- views: views and materialized views that read one of the given relations, at any depth, in the order in which they can be built
WITH RECURSIVE reading (oid, depth) AS (
  SELECT oid, 0 FROM unnest(%(oids)s::oid[]) AS given (oid)
  UNION
  SELECT r.ev_class, v.depth + 1
    FROM reading v JOIN pg_class c ON c.oid = v.oid LEFT JOIN pg_type t ON t.oid = c.reltype
    CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
    JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_type = '1' AND r.ev_class <> v.oid)
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind = 'm' AS materialized, c.relispopulated AS populated,
       pg_get_userbyid(c.relowner) AS owner, (SELECT amname FROM pg_am WHERE oid = c.relam) AS access_method
  FROM (SELECT oid, max(depth) AS depth FROM reading WHERE depth > 0 GROUP BY oid) AS v
  JOIN pg_class c ON c.oid = v.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY v.depth, n.nspname, c.relname;

-- by_name: the relations of these names that exist
SELECT c.oid::bigint AS oid
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS wanted (schema, name)
  JOIN pg_namespace n ON n.nspname = wanted.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name;

-- functions: functions that use a relation's row type, or name one in a body that the server has parsed
SELECT DISTINCT p.oid::bigint AS oid, n.nspname AS schema, p.oid::regprocedure::text AS signature
  FROM pg_class c LEFT JOIN pg_type t ON t.oid = c.reltype
  CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
  JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid AND p.prokind <> 'a' JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE c.oid = ANY (%(oids)s::oid[])
 ORDER BY 2, 3;

-- statistics: extended statistics of the given relations; `columns` names no table
SELECT s.stxrelid::bigint AS relation, n.nspname AS schema, s.stxname AS name, pg_get_statisticsobjdef_columns(s.oid) AS columns,
       -- Statistics of a single expression have no kinds.
       (SELECT string_agg(CASE k WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END, ', ' ORDER BY k)
          FROM unnest(s.stxkind) AS k WHERE k <> 'e') AS kinds,
       nullif(s.stxstattarget, -1)::int AS target, pg_get_userbyid(s.stxowner) AS owner, obj_description(s.oid, 'pg_statistic_ext') AS comment
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
 WHERE s.stxrelid = ANY (%(oids)s::oid[])
 ORDER BY s.stxrelid, n.nspname, s.stxname;

-- definition: how a view is defined, in names that the present search_path finds
SELECT pg_get_viewdef(%(oid)s::oid) AS definition;

-- defaults: defaults of a view's columns, in names that the present search_path finds
SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS expression
  FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
 WHERE d.adrelid = %(oid)s::oid ORDER BY a.attnum;

-- column_types: a relation's columns and their types, in order
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum;

-- view_parts: statements for what belongs to a view: comments on columns, storage, rules and triggers, in names of the search_path
SELECT statement FROM (
  SELECT 10 AS n, a.attnum::int AS m, format('COMMENT ON COLUMN %%s.%%I IS %%L', a.attrelid::regclass, a.attname, col_description(a.attrelid, a.attnum)) AS statement
    FROM pg_attribute a
   WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped AND col_description(a.attrelid, a.attnum) IS NOT NULL
  UNION ALL
  SELECT 11, a.attnum, format('ALTER TABLE %%s ALTER COLUMN %%I SET STORAGE %%s', a.attrelid::regclass, a.attname,
                              CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
   WHERE c.oid = %(oid)s::oid AND c.relkind = 'm' AND a.attnum > 0 AND NOT a.attisdropped AND a.attstorage <> t.typstorage
  UNION ALL
  SELECT 12, a.attnum, format('ALTER TABLE %%s ALTER COLUMN %%I SET COMPRESSION %%s', a.attrelid::regclass, a.attname,
                              CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
   WHERE c.oid = %(oid)s::oid AND c.relkind = 'm' AND a.attnum > 0 AND NOT a.attisdropped AND a.attcompression <> ''
  UNION ALL
  SELECT 20, row_number() OVER (ORDER BY tg.tgname), pg_get_triggerdef(tg.oid, true)
    FROM pg_trigger tg WHERE tg.tgrelid = %(oid)s::oid AND NOT tg.tgisinternal
  UNION ALL
  SELECT 21, 0, format('COMMENT ON TRIGGER %%I ON %%s IS %%L', tg.tgname, tg.tgrelid::regclass, d)
    FROM pg_trigger tg, obj_description(tg.oid, 'pg_trigger') AS d WHERE tg.tgrelid = %(oid)s::oid AND NOT tg.tgisinternal AND d IS NOT NULL
) AS s
ORDER BY n, m, statement;

-- rules: statements that make a relation's rules, in names of the search_path
SELECT r.rulename AS name, made.statement
  FROM pg_rewrite r CROSS JOIN LATERAL (
    SELECT 1 AS n, rtrim(pg_get_ruledef(r.oid, true), ';') AS statement
    UNION ALL
    SELECT 2, format('ALTER TABLE %%s %%s RULE %%I', r.ev_class::regclass,
                     CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, r.rulename)
     WHERE r.ev_enabled <> 'O'
    UNION ALL
    SELECT 3, format('COMMENT ON RULE %%I ON %%s IS %%L', r.rulename, r.ev_class::regclass, obj_description(r.oid, 'pg_rewrite'))
     WHERE obj_description(r.oid, 'pg_rewrite') IS NOT NULL) AS made
 WHERE r.ev_class = %(oid)s::oid AND r.ev_type <> '1'
 ORDER BY r.rulename, made.n;

-- policies: statements that make a relation's row security policies and its row security, in names of the search_path
SELECT name, statement FROM (
  SELECT 1 AS n, p.polname AS name, format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', p.polname, p.polrelid::regclass,
           CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', ') FROM unnest(p.polroles) AS o),
           ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS statement
    FROM pg_policy p WHERE p.polrelid = %(oid)s::oid
  UNION ALL
  SELECT 2, p.polname, format('COMMENT ON POLICY %%I ON %%s IS %%L', p.polname, p.polrelid::regclass, d)
    FROM pg_policy p, obj_description(p.oid, 'pg_policy') AS d WHERE p.polrelid = %(oid)s::oid AND d IS NOT NULL
  UNION ALL
  SELECT 3, '', format('ALTER TABLE %%s ENABLE ROW LEVEL SECURITY', oid::regclass) FROM pg_class WHERE oid = %(oid)s::oid AND relrowsecurity
  UNION ALL
  SELECT 4, '', format('ALTER TABLE %%s FORCE ROW LEVEL SECURITY', oid::regclass) FROM pg_class WHERE oid = %(oid)s::oid AND relforcerowsecurity
) AS s
ORDER BY n, name;

-- publications: publications that name a relation: what takes it out of them, and what puts it in again, in names of the search_path
SELECT p.pubname AS name, format('ALTER PUBLICATION %%I DROP TABLE ONLY %%s', p.pubname, r.prrelid::regclass) AS taken_out,
       format('ALTER PUBLICATION %%I ADD TABLE ONLY %%s%%s%%s', p.pubname, r.prrelid::regclass,
              (SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) || ')'
                 FROM unnest(r.prattrs::int2[]) WITH ORDINALITY AS k (attnum, n)
                 JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = k.attnum),
              ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')') AS statement
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
 WHERE r.prrelid = %(oid)s::oid
 ORDER BY p.pubname;

-- function: statements that make a function with its owner, its grants and its comment, in names of the search_path
SELECT statement FROM (
  SELECT 1 AS n, pg_get_functiondef(p.oid) AS statement FROM pg_proc p WHERE p.oid = %(oid)s::oid
  UNION ALL
  SELECT 2, format('ALTER ROUTINE %%s OWNER TO %%I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) FROM pg_proc p
   WHERE p.oid = %(oid)s::oid AND pg_get_userbyid(p.proowner) <> current_user
  UNION ALL
  SELECT 3, format('REVOKE ALL ON ROUTINE %%s FROM PUBLIC, %%I', p.oid::regprocedure, pg_get_userbyid(p.proowner)) FROM pg_proc p
   WHERE p.oid = %(oid)s::oid AND p.proacl IS NOT NULL
  UNION ALL
  SELECT 4, format('GRANT EXECUTE ON ROUTINE %%s TO %%s%%s', p.oid::regprocedure, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_proc p, aclexplode(p.proacl) AS a WHERE p.oid = %(oid)s::oid
  UNION ALL
  SELECT 5, format('COMMENT ON ROUTINE %%s IS %%L', p.oid::regprocedure, d) FROM pg_proc p, obj_description(p.oid, 'pg_proc') AS d
   WHERE p.oid = %(oid)s::oid AND d IS NOT NULL
) AS s
ORDER BY n, statement;

-- held_back: the given relations that a new view reads all the same, by a name that no search_path shortens
SELECT DISTINCT c.oid::regclass::text AS name
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  JOIN pg_class c ON c.oid = ANY (%(oids)s::oid[]) LEFT JOIN pg_type t ON t.oid = c.reltype
 WHERE r.ev_class = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND (d.refclassid, d.refobjid) IN (('pg_class'::regclass, c.oid), ('pg_type'::regclass, t.oid), ('pg_type'::regclass, t.typarray))
 ORDER BY 1;

-- joined: which relations hang together, though no foreign key joins them: each with what reads it, with the table whose policy or rule reads it, or with what it inherits from
WITH RECURSIVE reading (root, oid) AS (
  SELECT oid, oid FROM unnest(%(oids)s::oid[]) AS given (oid)
  UNION
  SELECT v.root, r.ev_class
    FROM reading v JOIN pg_class c ON c.oid = v.oid LEFT JOIN pg_type t ON t.oid = c.reltype
    CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
    JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> v.oid AND (r.ev_type = '1' OR r.ev_class = ANY (%(oids)s::oid[])))
SELECT root::bigint AS relation, oid::bigint AS meets FROM reading WHERE root <> oid
UNION
SELECT v.root::bigint, p.oid::bigint
  FROM reading v JOIN pg_class c ON c.oid = v.oid LEFT JOIN pg_type t ON t.oid = c.reltype
  CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
  JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_proc'::regclass JOIN pg_proc p ON p.oid = d.objid
UNION
SELECT v.root::bigint, p.polrelid::bigint
  FROM reading v JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid AND d.classid = 'pg_policy'::regclass
  JOIN pg_policy p ON p.oid = d.objid AND p.polrelid <> v.root
UNION
SELECT i.inhrelid::bigint, i.inhparent::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhrelid = ANY (%(oids)s::oid[]) AND NOT c.relispartition;

-- refused: functions and materialized views that depend on the given relations and cannot be carried over
WITH given AS (SELECT c.* FROM pg_class c WHERE c.oid = ANY (%(oids)s::oid[])),
functions AS (
  SELECT DISTINCT p.oid, p.prokind, p.proowner
    FROM given c LEFT JOIN pg_type t ON t.oid = c.reltype
    CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
    JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.objid)
SELECT DISTINCT what, object FROM (
  SELECT 'function' AS what, f.oid::regprocedure || ' is used by ' || pg_describe_object(d.classid, d.objid, d.objsubid)
         || ', which would keep the old one' AS object
    FROM functions f JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid
   WHERE d.classid <> 'pg_proc'::regclass OR d.objid <> f.oid
  UNION ALL
  SELECT 'function', f.oid::regprocedure || ' is an aggregate' FROM functions f WHERE f.prokind = 'a'
  UNION ALL
  SELECT 'function', f.oid::regprocedure || ' is part of an extension' FROM functions f
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e'
  UNION ALL
  SELECT 'function', f.oid::regprocedure || ' is not owned by ' || current_user FROM functions f WHERE NOT pg_has_role(current_user, f.proowner, 'USAGE')
  UNION ALL
  SELECT 'view', c.oid::regclass || ' is not owned by ' || current_user FROM given c
   WHERE c.relkind IN ('v', 'm') AND NOT pg_has_role(current_user, c.relowner, 'USAGE')
  UNION ALL
  -- The next table has no policies until the swap, and the rows of a materialized view are read before.
  SELECT 'materialized view', m.oid::regclass || ' holds the rows that policies of ' || t.oid::regclass || ' let role ' || o.rolname || ' see'
    FROM given m JOIN pg_roles o ON o.oid = m.relowner CROSS JOIN given t
   WHERE m.relkind = 'm' AND t.relkind IN ('r', 'p') AND t.relrowsecurity AND NOT o.rolsuper AND NOT o.rolbypassrls
     AND (t.relforcerowsecurity OR NOT pg_has_role(o.oid, t.relowner, 'USAGE'))
) AS found
ORDER BY what, object;

-- fingerprints: each thing that hangs on the given relations and is carried over, with a hash of all that defines it
WITH RECURSIVE reading (oid) AS (
  SELECT oid FROM unnest(%(oids)s::oid[]) AS given (oid)
  UNION
  SELECT r.ev_class
    FROM reading v JOIN pg_class c ON c.oid = v.oid LEFT JOIN pg_type t ON t.oid = c.reltype
    CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
    JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_type = '1'),
views AS (SELECT c.* FROM reading r JOIN pg_class c ON c.oid = r.oid WHERE c.relkind IN ('v', 'm'))
SELECT object, md5(string_agg(defined, E'\n' ORDER BY defined)) AS hash FROM (
  SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::regclass AS object,
         concat_ws(E'\n', pg_get_viewdef(v.oid), v.relowner, v.relacl, v.reloptions, v.reltablespace, v.relam, obj_description(v.oid, 'pg_class'),
           (SELECT string_agg(concat_ws(' ', a.attname, a.attacl, 'target ' || a.attstattarget, a.attoptions, a.attstorage, a.attcompression,
                                        pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum)), ';' ORDER BY a.attnum)
              FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped),
           (SELECT string_agg(pg_get_triggerdef(oid) || coalesce(obj_description(oid, 'pg_trigger'), ''), ';' ORDER BY tgname)
              FROM pg_trigger WHERE tgrelid = v.oid AND NOT tgisinternal),
           (SELECT string_agg(concat_ws(' ', pg_get_indexdef(indexrelid), indisclustered, obj_description(indexrelid, 'pg_class')), ';' ORDER BY indexrelid)
              FROM pg_index WHERE indrelid = v.oid AND indisvalid)) AS defined
    FROM views v
  UNION ALL
  SELECT 'rule ' || r.rulename || ' of ' || r.ev_class::regclass, concat_ws(' ', pg_get_ruledef(r.oid), r.ev_enabled, obj_description(r.oid, 'pg_rewrite'))
    FROM reading x JOIN pg_rewrite r ON r.ev_class = x.oid WHERE r.ev_type <> '1'
  UNION ALL
  SELECT 'policy ' || p.polname || ' of ' || p.polrelid::regclass,
         concat_ws(' ', p.polpermissive, p.polcmd, p.polroles, pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
                   obj_description(p.oid, 'pg_policy'))
    FROM reading x JOIN pg_policy p ON p.polrelid = x.oid
  UNION ALL
  SELECT 'publication ' || p.pubname || ' of ' || r.prrelid::regclass, concat_ws(' ', r.prattrs, pg_get_expr(r.prqual, r.prrelid))
    FROM reading x JOIN pg_publication_rel r ON r.prrelid = x.oid JOIN pg_publication p ON p.oid = r.prpubid
  UNION ALL
  SELECT 'statistics ' || s.stxname || ' of ' || s.stxrelid::regclass,
         concat_ws(' ', pg_get_statisticsobjdef(s.oid), s.stxowner, nullif(s.stxstattarget, -1), obj_description(s.oid, 'pg_statistic_ext'))
    FROM reading x JOIN pg_statistic_ext s ON s.stxrelid = x.oid
  UNION ALL
  SELECT 'function ' || p.oid::regprocedure, concat_ws(' ', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END, p.proowner, p.proacl, obj_description(p.oid, 'pg_proc'))
    FROM reading x JOIN pg_class c ON c.oid = x.oid LEFT JOIN pg_type t ON t.oid = c.reltype
    CROSS JOIN LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass::oid, t.oid), ('pg_type'::regclass::oid, t.typarray)) AS used (class, oid)
    JOIN pg_depend d ON d.refclassid = used.class AND d.refobjid = used.oid AND d.classid = 'pg_proc'::regclass JOIN pg_proc p ON p.oid = d.objid
) AS found
GROUP BY object ORDER BY object;

-- found_by_name: what stands on next relations and uses an operator or function of the user's own that the same on the live ones does not use
WITH pair AS (
  SELECT l.oid AS live, to_regclass(format('%%I.%%I', l.next_schema, l.name))::oid AS next, l.schema || '.' || l.name AS table
    FROM unnest(%(oids)s::oid[], %(schemas)s::text[], %(names)s::text[], %(next_schemas)s::text[]) AS l (oid, schema, name, next_schema)),
made AS (
  SELECT 'trigger ' || n.tgname AS what, p.table, 'pg_trigger'::regclass AS class, l.oid AS live, n.oid AS next
    FROM pair p JOIN pg_trigger n ON n.tgrelid = p.next JOIN pg_trigger l ON l.tgrelid = p.live AND l.tgname = n.tgname
  UNION ALL
  SELECT 'row security policy ' || n.polname, p.table, 'pg_policy'::regclass, l.oid, n.oid
    FROM pair p JOIN pg_policy n ON n.polrelid = p.next JOIN pg_policy l ON l.polrelid = p.live AND l.polname = n.polname
  UNION ALL
  SELECT 'constraint ' || n.conname, p.table, 'pg_constraint'::regclass, l.oid, n.oid
    FROM pair p JOIN pg_constraint n ON n.conrelid = p.next JOIN pg_constraint l ON l.conrelid = p.live AND l.conname = n.conname
   WHERE l.contype = 'c' AND NOT l.convalidated
  UNION ALL
  SELECT 'rule ' || n.rulename, p.table, 'pg_rewrite'::regclass, l.oid, n.oid
    FROM pair p JOIN pg_rewrite n ON n.ev_class = p.next JOIN pg_rewrite l ON l.ev_class = p.live AND l.rulename = n.rulename
  UNION ALL
  SELECT 'publication ' || b.pubname, p.table, 'pg_publication_rel'::regclass, l.oid, n.oid
    FROM pair p JOIN pg_publication_rel n ON n.prrelid = p.next JOIN pg_publication_rel l ON l.prrelid = p.live AND l.prpubid = n.prpubid
    JOIN pg_publication b ON b.oid = n.prpubid)
SELECT DISTINCT m.what || ' of ' || m.table AS what, m.table, pg_describe_object(d.refclassid, d.refobjid, 0) AS uses
  FROM made m JOIN pg_depend d ON d.classid = m.class AND d.objid = m.next AND d.refclassid IN ('pg_operator'::regclass, 'pg_proc'::regclass)
 WHERE NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = m.class AND o.objid = m.live AND o.refclassid = d.refclassid AND o.refobjid = d.refobjid)
   AND NOT (d.refclassid = 'pg_proc'::regclass AND d.refobjid = ANY (%(moved)s::oid[]))
 ORDER BY 1, 3;
