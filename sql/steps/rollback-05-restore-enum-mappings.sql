{% for enum in enums %}
{% for value in enum.renames %}
-- [] {{ enum.said }}: a value gets its old name again
DO $rename$
BEGIN
  IF EXISTS (SELECT FROM pg_enum WHERE enumtypid = to_regtype({{ enum.regtype }}) AND enumlabel = {{ value.new }}) THEN
    ALTER TYPE {{ enum.name }} RENAME VALUE {{ value.new }} TO {{ value.old }};
  END IF;
END
$rename$;

{% endfor %}
{% if enum.is_ours %}
-- [] {{ enum.said }}: the type that the step has made
DROP TYPE IF EXISTS {{ enum.name }};

{% endif %}
{% endfor %}
