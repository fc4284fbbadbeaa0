{% for source in sources %}
-- [] {{ source.said }}: its changes make nothing stale any longer
DO $triggers$
BEGIN
  IF to_regclass({{ source.regclass_text }}) IS NOT NULL THEN
    DROP TRIGGER IF EXISTS replank_permission_insert ON {{ source.name }};
    DROP TRIGGER IF EXISTS replank_permission_update ON {{ source.name }};
    DROP TRIGGER IF EXISTS replank_permission_delete ON {{ source.name }};
    DROP TRIGGER IF EXISTS replank_permission_truncate ON {{ source.name }};
  END IF;
END
$triggers$;

{% endfor %}
-- [] The tables and functions that the step has made
DO $tables$
BEGIN
  IF to_regnamespace({{ schema_text }}) IS NOT NULL THEN
    DROP FUNCTION IF EXISTS {{ schema }}.permissions_of(text, text), {{ schema }}.compute(text, text),
      {{ schema }}.warm(int), {{ schema }}.invalidate(text[], text);
{% for source in sources %}
    DROP FUNCTION IF EXISTS {{ schema }}.{{ source.function }}();
{% endfor %}
    DROP VIEW IF EXISTS {{ schema }}.computed, {{ schema }}.metrics;
    DROP TABLE IF EXISTS {{ schema }}.cache, {{ schema }}.invalidation, {{ schema }}.warm_up, {{ schema }}.use,
      {{ schema }}.configuration;
    IF {{ schema_is_ours }} THEN
      DROP SCHEMA {{ schema }};
    END IF;
  END IF;
END
$tables$;
