-- reverse_capture_is_installed: whether the function of a reverse capture is there
SELECT EXISTS (SELECT FROM pg_proc WHERE proname = %(function)s AND pronamespace = to_regnamespace('replank')) AS there;

-- captures: of tables by name, the past one's oid and, of the function's triggers, how many stand on the new one and how many in its tree are not enabled as they were made
SELECT w.table_no, to_regclass(format('%%I.%%I', w.schema, w.name))::oid::bigint AS new_oid,
       to_regclass(format('%%I.%%I', w.past_schema, w.name))::oid::bigint AS past_oid, found.standing, found.off
  FROM unnest(%(numbers)s::int[], %(schemas)s::text[], %(names)s::text[], %(past_schemas)s::text[], %(functions)s::text[],
              %(for_rows)s::text[]) AS w (table_no, schema, name, past_schema, function, for_rows)
 CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE t.tgrelid = tree.root) AS standing,
         count(*) FILTER (WHERE t.tgenabled::text <> CASE WHEN (t.tgtype & 1) = 1 THEN w.for_rows ELSE 'A' END) AS off
    FROM (SELECT to_regclass(format('%%I.%%I', w.schema, w.name))::oid AS root) AS tree
    JOIN pg_trigger t ON t.tgrelid = tree.root OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(tree.root))
    JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = to_regnamespace('replank') AND p.proname = w.function) AS found;

-- not_always: triggers of a function that stand on relations and are not enabled as they were made
SELECT n.nspname AS schema, c.relname AS name, t.tgname AS "trigger",
       CASE WHEN (t.tgtype & 1) = 1 AND %(for_rows)s::text = 'R' THEN 'REPLICA' ELSE 'ALWAYS' END AS wanted
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = to_regnamespace('replank') AND p.proname = %(function)s
  JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgrelid = ANY (%(oids)s::oid[]) AND t.tgenabled::text <> CASE WHEN (t.tgtype & 1) = 1 THEN %(for_rows)s::text ELSE 'A' END
 ORDER BY 1, 2, 3;

-- oid_of: the oid of a relation by name, NULL where there is none
SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid::bigint AS oid;

-- firing_triggers: triggers and rules of relations that fire, and how, so that they can be disabled and enabled again
SELECT n.nspname AS schema, c.relname AS name, 'TRIGGER' AS kind, t.tgname AS object, t.tgenabled::text AS enabled
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgrelid = ANY (%(oids)s::oid[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgname NOT LIKE 'replank\_capture\_%%'
UNION ALL
SELECT n.nspname, c.relname, 'RULE', r.rulename, r.ev_enabled::text
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.ev_class = ANY (%(oids)s::oid[]) AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
 ORDER BY 1, 2, 3, 4;

-- parts: what hangs on relations, by kind and name: columns, triggers, rules, policies, publications, foreign keys, statistics, children and parents
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
  UNION ALL
  -- It finds its tables by name, and applies nothing to one that it does not know, without an error.
  SELECT 'subscription', u.subname FROM pg_subscription_rel s JOIN pg_subscription u ON u.oid = s.srsubid WHERE s.srrelid = ANY (%(oids)s::oid[])
  UNION ALL
  SELECT 'inheritance child', c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %(root)s::oid AND NOT c.relispartition
  UNION ALL
  SELECT 'inheritance parent', p.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
   WHERE i.inhrelid = %(root)s::oid AND NOT c.relispartition
) AS found
ORDER BY what, name;

-- size: what a table takes with its indexes, and with its partitions
SELECT coalesce(sum(pg_total_relation_size(t.oid)), 0)::bigint AS bytes
  FROM (SELECT %(oid)s::oid AS oid UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass)) AS t;

-- policies_and_rules: statements that drop the policies and rules of relations, which may name other tables
SELECT format('DROP POLICY %%I ON %%s', polname, polrelid::regclass) AS dropped FROM pg_policy WHERE polrelid = ANY (%(oids)s::oid[])
UNION ALL
SELECT format('DROP RULE %%I ON %%s', rulename, ev_class::regclass) FROM pg_rewrite WHERE ev_class = ANY (%(oids)s::oid[]) AND ev_type <> '1';

-- kept_by_psql: whether a pass by psql has left what its rollback needs
SELECT to_regclass('replank.capture_facts') IS NOT NULL AS there;
