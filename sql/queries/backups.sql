-- restored_tables: tables with rows of their own, as a dump has them: no parts of extensions, nothing of Replank
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|replank)' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, 2;

-- place: what a backup must be of: the server's identifier and version, the database and its oid
SELECT s.system_identifier::text AS system_identifier, current_setting('server_version_num')::int / 10000 AS major,
       d.datname AS database, d.oid::bigint AS database_oid
  FROM pg_control_system() AS s, pg_database d WHERE d.datname = current_database();
