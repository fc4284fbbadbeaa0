{% for table in captured %}
-- [reverse_capture] {{ table.said }}: changes are captured for the past table no more
DO $capture$
DECLARE
  function text;
BEGIN
  FOR function IN SELECT DISTINCT tgfoid::regprocedure::text FROM pg_trigger
                   WHERE tgrelid = to_regclass({{ table.regclass_text }}) AND tgname LIKE 'replank\_capture\_back\_%' LOOP
    EXECUTE 'DROP FUNCTION ' || function || ' CASCADE';
  END LOOP;
END
$capture$;

{% endfor %}
{% for set in sets %}
{% if set.functions %}
-- [] {{ set.said }}: functions that use what went to the past
DO $functions$
DECLARE
  function text;
BEGIN
  FOR function IN
    SELECT DISTINCT p.oid::regprocedure::text
      FROM unnest({{ set.regclasses }}) AS name JOIN pg_class c ON c.oid = to_regclass(name) JOIN pg_type t ON t.oid = c.reltype
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass
       AND (d.refclassid, d.refobjid) IN (('pg_class'::regclass, c.oid), ('pg_type'::regclass, t.oid), ('pg_type'::regclass, t.typarray))
      JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname LIKE 'replank\_past%' LOOP
    EXECUTE 'DROP ROUTINE ' || function;
  END LOOP;
END
$functions$;

{% endif %}
{% if set.views %}
-- [] {{ set.said }}: views that read the past tables
{% for view in set.views %}
DROP {{ view.kind }} IF EXISTS {{ view.name }};
{% endfor %}

{% endif %}
-- [past_tables] {{ set.said }}: the past tables, with what joins them to each other; what others have built on them stops this
DROP TABLE IF EXISTS {{ set.tables }};

{% endfor %}
{% for view in compatibility_views %}
-- [] {{ view.said }}: a view under an old name
DROP VIEW IF EXISTS {{ view.name }};

{% endfor %}
{% for column in columns %}
-- [] {{ column.said }}: a column that is not needed any more
ALTER TABLE IF EXISTS {{ column.table }} DROP COLUMN IF EXISTS {{ column.name }};

{% endfor %}
{% if casts %}
-- [casts] clients send ids as uuids now: implicit casts that Replank made
DO $casts$
DECLARE
  made text;
BEGIN
  FOR made IN SELECT castsource::regtype::text FROM pg_cast
               WHERE casttarget = 'uuid'::regtype AND obj_description(oid, 'pg_cast') = {{ casts }} LOOP
    EXECUTE format('DROP CAST (%s AS uuid)', made);
  END LOOP;
END
$casts$;

{% endif %}
{% if by_hand %}
-- [kept_by_psql] what a pass by psql has kept for its rollback
DROP TABLE IF EXISTS {{ by_hand }}, replank.capture_facts;
DROP FUNCTION IF EXISTS replank.defined(regclass), replank.rewritten();
{% endif %}
{% if schemas %}
-- [schemas] schemas in which nothing is left
DO $schemas$
DECLARE
  schema text;
BEGIN
  FOREACH schema IN ARRAY {{ schemas }} LOOP
    BEGIN
      EXECUTE format('DROP SCHEMA IF EXISTS %I', schema);
    EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
    END;
  END LOOP;
END
$schemas$;
{% endif %}
