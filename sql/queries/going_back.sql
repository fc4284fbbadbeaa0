-- is_installed: whether the function of a reverse capture is there
SELECT EXISTS (SELECT FROM pg_proc WHERE proname = %(function)s AND pronamespace = to_regnamespace('replank')) AS there;

-- capturing: how many of its triggers stand on a relation and fire always
SELECT count(*) AS triggers FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = to_regnamespace('replank')
 WHERE t.tgrelid = %(oid)s::oid AND p.proname = %(function)s AND t.tgenabled = 'A';

-- oid_of: the oid of a relation by name, NULL where there is none
SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid::bigint AS oid;

-- switched: triggers and rules of relations that fire, and how, so that they can be switched off and on again
SELECT n.nspname AS schema, c.relname AS name, 'TRIGGER' AS kind, t.tgname AS object, t.tgenabled::text AS enabled
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgrelid = ANY (%(oids)s::oid[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgname NOT LIKE 'replank\_capture\_%%'
UNION ALL
SELECT n.nspname, c.relname, 'RULE', r.rulename, r.ev_enabled::text
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.ev_class = ANY (%(oids)s::oid[]) AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
 ORDER BY 1, 2, 3, 4;

-- parts: what hangs on relations, by kind and name: columns, triggers, rules, policies, publications, foreign keys, statistics
SELECT what, name FROM (
  SELECT 'column' AS what, attname::text AS name FROM pg_attribute WHERE attrelid = %(root)s::oid AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT 'trigger', tgname FROM pg_trigger WHERE tgrelid = %(root)s::oid AND NOT tgisinternal AND tgname NOT LIKE 'replank\_capture\_%%'
  UNION ALL
  SELECT 'rule', rulename FROM pg_rewrite WHERE ev_class = ANY (%(oids)s::oid[]) AND ev_type <> '1'
  UNION ALL
  SELECT 'row security policy', polname FROM pg_policy WHERE polrelid = %(root)s::oid
  UNION ALL
  SELECT 'extended statistics', stxname FROM pg_statistic_ext WHERE stxrelid = ANY (%(oids)s::oid[])
  UNION ALL
  SELECT 'constraint', conname FROM pg_constraint WHERE conrelid = %(root)s::oid AND contype IN ('c', 'x', 'u', 'p')
) AS found
ORDER BY what, name;

-- dependents_outside: views and other relations over the given ones that do not lie in the schemas of their kind
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS object
  FROM pg_depend d
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (%(oids)s::oid[]) AND d.deptype = 'n';

-- relations_of: tables, views and materialized views of schemas with their sizes; partitions count with their parent
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, pg_total_relation_size(c.oid)
       + coalesce((SELECT sum(pg_total_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p WHERE c.relkind = 'p'), 0)::bigint AS bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
 ORDER BY n.nspname, c.relname;
