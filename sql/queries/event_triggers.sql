-- read: the event triggers of this database, and whether each would fire for this session's DDL
SELECT e.evtname AS name, e.evtevent AS event, coalesce(e.evttags, '{}')::text[] AS tags,
       format('%I.%I', n.nspname, p.proname) AS function, pg_get_userbyid(e.evtowner)::text AS owner,
       CASE e.evtenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled for replicas' ELSE 'always enabled' END AS state,
       e.evtevent <> 'login' AND coalesce(current_setting('event_triggers', true), 'on') = 'on'
         AND e.evtenabled = ANY (CASE current_setting('session_replication_role') WHEN 'replica' THEN '{R,A}'::"char"[] ELSE '{O,A}' END) AS fires
  FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
 ORDER BY e.evtname;

-- switch_off: for this session, where the server (from 17 on) and the role's rights allow it
SELECT pg_catalog.set_config('event_triggers', 'off', false)
 WHERE pg_catalog.current_setting('server_version_num')::int >= 170000
   AND pg_catalog.has_parameter_privilege('event_triggers', 'SET');

-- let_fire: for this session again, whatever the database says
SELECT pg_catalog.set_config('event_triggers', 'on', false)
 WHERE pg_catalog.current_setting('server_version_num')::int >= 170000
   AND pg_catalog.has_parameter_privilege('event_triggers', 'SET');

-- added: what these next relations, and the tables of the ledger's schema, have that nothing of ours has given them
SELECT format('%%I.%%I', n.nspname, c.relname) AS relation, found.what
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN unnest(%(schemas)s::text[], %(names)s::text[]) AS next (schema, name) ON next.schema = n.nspname AND next.name = c.relname
 CROSS JOIN LATERAL (
   SELECT 'trigger ' || t.tgname FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> ALL (%(triggers)s::text[])
   UNION ALL
   SELECT 'row security' WHERE c.relrowsecurity OR c.relforcerowsecurity
   UNION ALL
   SELECT 'policy ' || p.polname FROM pg_policy p WHERE p.polrelid = c.oid
   UNION ALL
   SELECT 'rule ' || r.rulename FROM pg_rewrite r WHERE r.ev_class = c.oid
   UNION ALL
   SELECT 'column ' || a.attname FROM pg_attribute a
    WHERE next.name IS NOT NULL AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (%(columns)s::text[])
   UNION ALL
   SELECT 'index ' || ic.relname FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE next.name IS NOT NULL AND i.indrelid = c.oid
 ) AS found (what)
 WHERE c.relkind IN ('r', 'p') AND (next.name IS NOT NULL OR n.nspname = 'replank')
 ORDER BY 1, 2;

-- swap_statements: about how many DDL statements a swap of these tables makes, for each: moves, triggers, policies, rules, foreign keys, comments on them
SELECT c.oid::bigint AS oid,
       (2 * (1 + (SELECT count(*) FROM pg_partition_tree(c.oid) WHERE parentrelid IS NOT NULL))
        + (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
        + (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid)
        + (SELECT count(*) FROM pg_rewrite r WHERE r.ev_class = c.oid)
        + (SELECT count(*) FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 AND c.oid IN (k.conrelid, k.confrelid))
        + 1)::int AS statements
  FROM pg_class c WHERE c.oid = ANY (%(oids)s::oid[]);

-- added_by_swap: what these tables have under the swap's lock that those they replaced did not have; nothing where no event trigger fires
SELECT format('%%I.%%I', w.schema, w.name) AS relation, found.what
  FROM unnest(%(schemas)s::text[], %(names)s::text[], %(left_schemas)s::text[]) AS w (schema, name, left_schema)
  JOIN pg_class c ON c.oid = to_regclass(format('%%I.%%I', w.schema, w.name))
  JOIN pg_class l ON l.oid = to_regclass(format('%%I.%%I', w.left_schema, w.name))
 CROSS JOIN LATERAL (
   SELECT 'trigger ' || t.tgname FROM pg_trigger t
    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname NOT LIKE 'replank\_%%' AND t.tgname <> ALL (%(triggers)s::text[])
      AND NOT EXISTS (SELECT FROM pg_trigger was WHERE was.tgrelid = l.oid AND was.tgname = t.tgname)
   UNION ALL
   SELECT 'row security' WHERE (c.relrowsecurity AND NOT l.relrowsecurity) OR (c.relforcerowsecurity AND NOT l.relforcerowsecurity)
   UNION ALL
   SELECT 'policy ' || p.polname FROM pg_policy p
    WHERE p.polrelid = c.oid AND NOT EXISTS (SELECT FROM pg_policy was WHERE was.polrelid = l.oid AND was.polname = p.polname)
 ) AS found (what)
 WHERE coalesce(current_setting('event_triggers', true), 'on') = 'on' AND EXISTS (SELECT FROM pg_event_trigger WHERE evtenabled <> 'D')
 ORDER BY 1, 2;
