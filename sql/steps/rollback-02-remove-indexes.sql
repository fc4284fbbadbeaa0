{% for index in indexes %}
-- [] {{ index.said }}: goes
{% if index.partitions %}
DROP INDEX IF EXISTS {{ index.full_name }};
{% else %}
DROP INDEX CONCURRENTLY IF EXISTS {{ index.full_name }};
{% endif %}

{% endfor %}
