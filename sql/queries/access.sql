-- readers: roles with USAGE on the ledger's schema, without the one that acts
SELECT r.rolname AS role FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles r ON r.oid = a.grantee
 WHERE n.nspname = 'replank' AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner ORDER BY 1;

-- known: which of these roles exist
SELECT rolname AS role FROM pg_roles WHERE rolname = ANY (%(roles)s::text[]);

-- roles: all of this server's but PostgreSQL's own
SELECT rolname AS role FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1;

-- schemas: the ledger's, and those that a run has made beside it, which the acting role owns
SELECT n.nspname AS schema FROM pg_namespace n
 WHERE (n.nspname = 'replank' OR n.nspname ~ '^replank_(next|past|past_cache|rolled_back)(_|$)') AND pg_has_role(current_user, n.nspowner, 'USAGE')
 ORDER BY 1;

-- unreadable: of the given relations, those that this role may not read, or of which policies hide rows from it
SELECT n.nspname AS schema, c.relname AS name, quote_ident(session_user) AS role_quoted, quote_ident(n.nspname) AS schema_quoted,
       format('%%I.%%I', n.nspname, c.relname) AS table_quoted, NOT has_schema_privilege(n.oid, 'USAGE') AS shut,
       NOT has_table_privilege(c.oid, 'SELECT') AS unreadable, row_security_active(c.oid) AS filtered
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name) ON w.schema = n.nspname AND w.name = c.relname
 WHERE NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') OR row_security_active(c.oid)
 ORDER BY 1, 2;
