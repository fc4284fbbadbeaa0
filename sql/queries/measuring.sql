-- tables: every table of these schemas with its size, its columns and what tells its rows apart; partitions belong to it
SELECT n.nspname AS schema, c.relname AS name,
       (SELECT coalesce(sum(greatest(h.reltuples, 0)), 0)::bigint FROM pg_class h WHERE h.oid = ANY (heap.oids)) AS rows,
       (SELECT coalesce(sum(pg_table_size(h)), 0)::bigint FROM unnest(heap.oids) AS h) AS table_bytes,
       (SELECT coalesce(sum(pg_indexes_size(h)), 0)::bigint FROM unnest(heap.oids) AS h) AS index_bytes,
       CASE c.relkind WHEN 'p' THEN (SELECT count(*) FROM pg_partition_tree(c.oid) WHERE isleaf)::int ELSE 0 END AS partitions,
       coalesce((
         SELECT k.uuids FROM pg_index i CROSS JOIN LATERAL (
           SELECT array_agg(a.attname ORDER BY o.n) FILTER (WHERE a.atttypid = 'uuid'::regtype AND a.attnotnull) AS uuids,
                  bool_and((a.atttypid = 'uuid'::regtype AND a.attnotnull) OR coalesce(a.attnum = ANY (p.partattrs::int2[]), false)) AS fits
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS o (attnum, n) LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.attnum
             LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
            WHERE o.n <= i.indnkeyatts) AS k
          WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
            AND k.fits AND cardinality(k.uuids) >= 1 AND (cardinality(k.uuids) = 1 OR i.indisprimary)
          ORDER BY i.indisprimary DESC, cardinality(k.uuids) LIMIT 1), '{}')::text[] AS uuid_key,
       coalesce((SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum)) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid
                  AND a.attnum = ANY (i.indkey::int2[]) WHERE i.indrelid = c.oid AND i.indisprimary), '{}') AS key,
       -- What Prisma makes for a relation of many to many: no model of its own.
       c.relname LIKE '\_%%' AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) = ARRAY['A', 'B']
         AND (SELECT count(*) = 2 FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f') AS joins,
       obj_description(c.oid, 'pg_class') AS comment,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                 'default', CASE WHEN a.attidentity <> '' THEN 'identity' ELSE pg_get_expr(d.adbin, d.adrelid) END, 'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]')
          FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'p' THEN ARRAY(SELECT t.relid::oid FROM pg_partition_tree(c.oid) AS t) ELSE ARRAY[c.oid] END AS oids) AS heap
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' AND n.nspname = ANY (%(schemas)s::text[])
 ORDER BY 1, 2;

-- activity: what the server has counted for this database since its statistics began
SELECT xact_commit AS commits, xact_rollback AS rollbacks, deadlocks, sessions_fatal, sessions_killed, sessions_abandoned,
       coalesce(stats_reset::text, '') AS counted_since
  FROM pg_stat_database WHERE datname = current_database();

-- statements_extension: the schema of pg_stat_statements; no row where it is not installed
SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements';

-- parameters: how many parameters a prepared statement has
SELECT cardinality(parameter_types) AS count FROM pg_prepared_statements WHERE name = %(name)s;

-- security: roles, owners, rights, functions with their owner's rights, row security; `attention` says why to look
WITH mine AS (
  SELECT n.oid, n.nspname FROM pg_namespace n
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'replank%%' AND n.nspname NOT LIKE 'pg\_%%temp%%'),
relation AS (
  SELECT c.*, format('%%I.%%I', m.nspname, c.relname) AS called FROM pg_class c JOIN mine m ON m.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT c.relispartition)
SELECT what, name, coalesce(detail, '') AS detail, coalesce(attention, '') AS attention FROM (
  SELECT 'role' AS what, r.rolname::text AS name,
         concat_ws(', ', CASE WHEN r.rolcanlogin THEN 'may log in' ELSE 'cannot log in' END, CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcreaterole THEN 'creates roles' END,
           CASE WHEN r.rolcreatedb THEN 'creates databases' END, CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolbypassrls THEN 'bypasses row security' END,
           'member of ' || (SELECT string_agg(g.rolname, ', ' ORDER BY g.rolname) FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid WHERE a.member = r.oid)) AS detail,
         CASE WHEN r.rolcanlogin AND r.rolsuper THEN 'a superuser may do anything, the audit log included'
              WHEN r.rolcanlogin AND r.rolbypassrls THEN 'row security does not bind this role' END AS attention
    FROM pg_roles r WHERE r.rolname NOT LIKE 'pg\_%%'
  UNION ALL
  SELECT 'schema', m.nspname, 'owner ' || n.nspowner::regrole::text || coalesce('; ' || (
           SELECT string_agg(coalesce(g.rolname, 'PUBLIC') || ' ' || a.privilege_type, ', ' ORDER BY g.rolname NULLS FIRST, a.privilege_type)
             FROM aclexplode(n.nspacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE a.grantee <> n.nspowner), ''),
         CASE WHEN EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE') THEN 'everybody may create objects in it' END
    FROM mine m JOIN pg_namespace n ON n.oid = m.oid
  UNION ALL
  SELECT 'owner', r.called, r.relowner::regrole::text, NULL FROM relation r
  UNION ALL
  SELECT 'grant', r.called, (SELECT string_agg(coalesce(g.rolname, 'PUBLIC') || ' ' || a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, ', ' ORDER BY g.rolname NULLS FIRST, a.privilege_type)
           FROM aclexplode(r.relacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE a.grantee <> r.relowner),
         CASE WHEN EXISTS (SELECT FROM aclexplode(r.relacl) a WHERE a.grantee = 0) THEN 'granted to PUBLIC: every role has it' END
    FROM relation r WHERE EXISTS (SELECT FROM aclexplode(r.relacl) a WHERE a.grantee <> r.relowner)
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text, 'runs as ' || p.proowner::regrole::text || coalesce('; ' || array_to_string(p.proconfig, ', '), ''),
         CASE WHEN NOT coalesce(EXISTS (SELECT FROM unnest(p.proconfig) AS o WHERE o LIKE 'search\_path=%%'), false) THEN 'runs as its owner with its caller''s search_path' END
    FROM pg_proc p JOIN mine m ON m.oid = p.pronamespace WHERE p.prosecdef
  UNION ALL
  SELECT 'row security', r.called, concat_ws(', ', CASE WHEN r.relrowsecurity THEN 'on' ELSE 'off, but there are policies' END, CASE WHEN r.relforcerowsecurity THEN 'forced on its owner' ELSE 'does not bind its owner ' || r.relowner::regrole::text END,
           (SELECT count(*) || ' policies' FROM pg_policy p WHERE p.polrelid = r.oid)),
         CASE WHEN NOT r.relrowsecurity THEN 'its policies have no effect' END
    FROM relation r WHERE r.relrowsecurity OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = r.oid)
  UNION ALL
  SELECT 'default privileges', coalesce(n.nspname || ' ', '') || d.defaclrole::regrole::text || ' ' || d.defaclobjtype::text, array_to_string(d.defaclacl, ', '), NULL
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
) AS found
ORDER BY what, name;

-- unvalidated_keys: foreign keys of these schemas that are not validated
SELECT k.conrelid::regclass::text AS "table", k.conname AS name FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname = ANY (%(schemas)s::text[]) ORDER BY 1, 2;

-- invalid_indexes: indexes of these schemas that no query uses
SELECT i.indrelid::regclass::text AS "table", i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT (i.indisvalid AND i.indisready) AND n.nspname = ANY (%(schemas)s::text[]) ORDER BY 1, 2;

-- audit_triggers: which writes of which tables the audit log's function captures now; a trigger that is off captures nothing
SELECT n.nspname AS schema, c.relname AS name,
       array_remove(ARRAY[CASE WHEN bool_or(t.tgtype & 4 <> 0) THEN 'insert' END, CASE WHEN bool_or(t.tgtype & 16 <> 0) THEN 'update' END,
                          CASE WHEN bool_or(t.tgtype & 8 <> 0) THEN 'delete' END, CASE WHEN bool_or(t.tgtype & 32 <> 0) THEN 'truncate' END], NULL) AS captured
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
  JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE f.nspname = %(schema)s AND p.proname = 'capture' AND t.tgenabled IN ('O', 'A') AND t.tgparentid = 0
 GROUP BY 1, 2;

-- audit_parts: what the audit log's proof depends on: functions, triggers, and whatever acts on the log's own tables
SELECT format('function %%s', p.oid::regprocedure) AS name, '' AS "table", false AS on_log, md5(pg_get_functiondef(p.oid)) AS hash
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = %(schema)s AND p.proname IN ('capture', 'key_of') AND p.prokind = 'f'
UNION ALL
SELECT format('trigger %%I on %%s', t.tgname, t.tgrelid::regclass), n.nspname || '.' || c.relname, false, md5(pg_get_triggerdef(t.oid))
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
  JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE f.nspname = %(schema)s AND p.proname = 'capture' AND t.tgparentid = 0
UNION ALL
SELECT format('trigger %%I on %%s', t.tgname, t.tgrelid::regclass), '', true, md5(pg_get_triggerdef(t.oid) || t.tgenabled::text)
  FROM pg_partition_tree(to_regclass(format('%%I.audit_log', %(schema)s::text))) AS log JOIN pg_trigger t ON t.tgrelid = log.relid
 WHERE NOT t.tgisinternal
UNION ALL
SELECT format('rule %%I on %%s', r.rulename, r.ev_class::regclass), '', true, md5(pg_get_ruledef(r.oid) || r.ev_enabled::text)
  FROM pg_partition_tree(to_regclass(format('%%I.audit_log', %(schema)s::text))) AS log JOIN pg_rewrite r ON r.ev_class = log.relid
 ORDER BY 1;
