-- oids: tables, views and materialized views by schema and name
SELECT n.nspname AS schema, c.relname AS name, c.oid::bigint AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema, name) ON w.schema = n.nspname AND w.name = c.relname;

-- trigger_sources: of tables that have a trigger of the given name (one name each), the source of its function
SELECT w.oid::bigint AS oid, p.prosrc AS source FROM unnest(%(oids)s::oid[], %(names)s::text[]) AS w (oid, name)
  JOIN pg_trigger t ON t.tgrelid = w.oid AND t.tgname = w.name AND NOT t.tgisinternal JOIN pg_proc p ON p.oid = t.tgfoid;

-- same_type: whether two texts name one type, their length and precision included; false where one names none
SELECT coalesce(to_regtype(%(one)s) = to_regtype(%(other)s), false)
   AND coalesce(substring(%(one)s::text from '[(].*[)]'), '') = coalesce(substring(%(other)s::text from '[(].*[)]'), '') AS same;
