-- place: version and identity of a server, and how a database is sorted and encoded
SELECT current_setting('server_version_num')::int / 10000 AS major,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       d.datname AS database, pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
       d.datlocprovider::text AS provider, pg_database_size(d.oid) AS bytes,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale
  FROM pg_database d WHERE d.datname = current_database();

-- roles: roles that definitions may name
SELECT rolname AS name FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1;

-- memberships: which role is a member of which
SELECT r.rolname AS role, m.rolname AS member FROM pg_auth_members a
  JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
 WHERE m.rolname !~ '^pg_' ORDER BY 1, 2;

-- contents: everything with rows of its own
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (c.relkind = 'r' OR c.relispopulated)
 ORDER BY 1, 2;

-- sequences: where each sequence stands
SELECT schemaname AS schema, sequencename AS name, last_value::text AS value FROM pg_sequences ORDER BY 1, 2;

-- rows_of: a table's rows as one number, whatever their order
SELECT count(*) AS rows, coalesce(sum(hashtextextended((t.*)::text, 0)::numeric), 0)::text AS sum FROM ONLY {name} AS t;
