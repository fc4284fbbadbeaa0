-- oids: tables, views and materialized views by schema and name
SELECT n.nspname AS schema, c.relname AS name, c.oid::bigint AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name) ON w.schema = n.nspname AND w.name = c.relname;
