{% for enum in enums %}
{% if enum.labels %}
-- [] {{ enum.said }}: the type, where it is missing
DO $type$
BEGIN
  IF to_regtype({{ enum.regtype }}) IS NULL THEN
    CREATE TYPE {{ enum.name }} AS ENUM ({{ enum.labels }});
  END IF;
END
$type$;

{% endif %}
{% for value in enum.renames %}
-- [] {{ enum.said }}: a value gets its new name; rows are not touched
DO $rename$
BEGIN
  IF EXISTS (SELECT FROM pg_enum WHERE enumtypid = to_regtype({{ enum.regtype }}) AND enumlabel = {{ value.old }}) THEN
    ALTER TYPE {{ enum.name }} RENAME VALUE {{ value.old }} TO {{ value.new }};
  END IF;
END
$rename$;

{% endfor %}
{% for value in enum.added %}
-- [] {{ enum.said }}: a value that it does not have yet
ALTER TYPE {{ enum.name }} ADD VALUE IF NOT EXISTS {{ value }};

{% endfor %}
{% endfor %}
