{% for table in tables %}
-- [] {{ table.said }}: its changes are captured no longer
DO $capture$
BEGIN
  IF to_regclass({{ table.regclass_text }}) IS NOT NULL THEN
    DROP TRIGGER IF EXISTS replank_audit_insert ON {{ table.name }};
    DROP TRIGGER IF EXISTS replank_audit_update ON {{ table.name }};
    DROP TRIGGER IF EXISTS replank_audit_delete ON {{ table.name }};
    DROP TRIGGER IF EXISTS replank_audit_truncate ON {{ table.name }};
  END IF;
END
$capture$;

{% endfor %}
-- [] The tables that the step has made, with what they hold
DO $tables$
BEGIN
  IF to_regnamespace({{ schema_text }}) IS NOT NULL THEN
    DROP VIEW IF EXISTS {{ schema }}.metrics;
    DROP TABLE IF EXISTS {{ schema }}.audit_log, {{ schema }}.data_access, {{ schema }}.security_event,
      {{ schema }}.compliance_event, {{ schema }}.retention;
    DROP FUNCTION IF EXISTS {{ schema }}.capture(), {{ schema }}.key_of(jsonb, text[]), {{ schema }}.make_months(int),
      {{ schema }}.retain();
    IF {{ schema_is_ours }} THEN
      DROP SCHEMA {{ schema }};
    END IF;
  END IF;
END
$tables$;
