{% for table in tables %}
-- [] {{ table.said }}: the column goes, and its index with it
ALTER TABLE IF EXISTS {{ table.name }} DROP COLUMN IF EXISTS {{ column }};

{% endfor %}
