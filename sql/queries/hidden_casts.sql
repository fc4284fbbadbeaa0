-- definitions: views, policies, rules, partial indexes and parsed functions over the given relations, in names of the search_path, with the columns that each uses
WITH found AS (
  SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind, format('%%s.%%s', n.nspname, c.relname) AS name, 'pg_rewrite'::regclass AS class, r.oid,
         format('CREATE OR REPLACE VIEW %%s%%s AS %%s', c.oid::regclass, ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), '; ')) AS definition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1'
   WHERE c.oid = ANY (%(oids)s::oid[]) AND c.relkind IN ('v', 'm')
  UNION ALL
  SELECT 'row security policy', format('%%s of %%s.%%s', p.polname, n.nspname, c.relname), 'pg_policy'::regclass, p.oid,
         format('ALTER POLICY %%I ON %%s', p.polname, c.oid::regclass) || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
           || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY (%(oids)s::oid[])
  UNION ALL
  SELECT 'rule', format('%%s of %%s.%%s', r.rulename, n.nspname, c.relname), 'pg_rewrite'::regclass, r.oid,
         'CREATE OR REPLACE ' || substr(rtrim(pg_get_ruledef(r.oid, true), '; '), length('CREATE ') + 1)
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = ANY (%(oids)s::oid[]) AND r.ev_type <> '1'
  UNION ALL
  SELECT 'index', format('%%s of %%s.%%s', ic.relname, n.nspname, c.relname), 'pg_class'::regclass, ic.oid, pg_get_indexdef(ic.oid)
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = ANY (%(oids)s::oid[]) AND i.indpred IS NOT NULL
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid, pg_get_functiondef(p.oid)
    FROM pg_proc p WHERE p.oid = ANY (%(functions)s::oid[]) AND p.prosqlbody IS NOT NULL)
SELECT f.kind, f.name, f.class::oid::bigint AS class, f.oid::bigint AS oid, f.definition, used.tables, used.columns
  FROM found f CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(d.refobjid::bigint ORDER BY d.refobjid, d.refobjsubid), '{}') AS tables, coalesce(array_agg(a.attname::text ORDER BY d.refobjid, d.refobjsubid), '{}') AS columns
      FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = f.class AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0) AS used
 ORDER BY f.kind, f.name;

-- leading_indexes: valid indexes that begin with a plain column of the given tables
SELECT i.indrelid::bigint AS oid, a.attname AS column, ic.relname AS name
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisvalid AND i.indpred IS NULL
 ORDER BY i.indrelid, ic.relname;
