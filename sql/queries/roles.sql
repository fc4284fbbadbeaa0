-- become_owner: for this session, the role that owns the ledger, where the login may become it. A superuser stays one, and no other login becomes one
SELECT pg_catalog.set_config('role', o.rolname, false)
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner
  JOIN pg_catalog.pg_roles me ON me.rolname = session_user
 WHERE n.nspname = 'replank' AND o.rolname <> current_user AND NOT o.rolsuper AND NOT me.rolsuper
   AND pg_catalog.pg_has_role(session_user, o.oid, CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END);

-- owners: which roles own the given tables, or without a name all tables of the database; and whether this login may become that role
SELECT o.rolname AS role, o.rolsuper AS superuser,
       pg_has_role(session_user, o.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS may_become
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%%' AND n.nspname NOT LIKE 'pg\_temp%%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   AND (cardinality(%(names)s::text[]) = 0 OR EXISTS (
         SELECT FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name) WHERE w.schema = n.nspname AND w.name = c.relname))
 GROUP BY o.oid, o.rolname, o.rolsuper ORDER BY o.rolname;

-- login: the login of this session, the role that acts, and what the ledger's owner is to both
SELECT session_user::text AS login, current_user::text AS role, quote_ident(session_user) AS login_quoted, quote_ident(pg_get_userbyid(n.nspowner)) AS owner_quoted,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       pg_get_userbyid(n.nspowner)::text AS owner,
       (SELECT string_agg(quote_ident(s.nspname), ', ' ORDER BY s.nspname) FROM pg_namespace s
         WHERE s.nspname = 'replank' OR (s.nspname ~ '^replank_(next|past|past_cache|rolled_back)(_|$)' AND s.nspowner = n.nspowner)) AS schemas,
       pg_has_role(current_user, n.nspowner, 'USAGE') AS owns,
       pg_has_role(session_user, n.nspowner, 'MEMBER') AS member,
       has_schema_privilege(n.oid, 'USAGE') AND NOT EXISTS (
         SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname IN ('version', 'run', 'job') AND NOT has_table_privilege(c.oid, 'SELECT')) AS may_read
  FROM pg_namespace n WHERE n.nspname = 'replank';

-- without_rights: which of these logins exist and can neither be nor become the ledger's owner
SELECT r.rolname AS login FROM pg_roles r, pg_namespace n
 WHERE n.nspname = 'replank' AND r.rolname = ANY (%(logins)s::text[]) AND NOT r.rolsuper AND NOT pg_has_role(r.oid, n.nspowner, 'USAGE')
   AND NOT pg_has_role(r.oid, n.nspowner, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END);

-- refused: workers that said so lately, and whose logins can still neither be nor become the ledger's owner
SELECT DISTINCT ON (e.subject, e.message) e.subject AS login, e.message AS worker, e.at, format('GRANT %%I TO %%I;', pg_get_userbyid(n.nspowner), r.rolname) AS grant
  FROM replank.event e, pg_namespace n, pg_roles r
 WHERE e.run_id = %(run_id)s AND e.kind = %(kind)s AND e.at > clock_timestamp() - %(seconds)s * interval '1 second'
   AND n.nspname = 'replank' AND r.rolname = e.subject AND NOT r.rolsuper AND NOT pg_has_role(r.oid, n.nspowner, 'USAGE')
   AND NOT pg_has_role(r.oid, n.nspowner, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
 ORDER BY e.subject, e.message, e.at DESC;
