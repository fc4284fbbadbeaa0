{% for index in dropped %}
-- [] {{ index.said }}: agreed to go ({{ index.why }})
DROP INDEX CONCURRENTLY IF EXISTS {{ index.full_name }};

{% endfor %}
{% for index in built_again %}
-- [] {{ index.said }}: built again beside the old one, which goes then
REINDEX INDEX CONCURRENTLY {{ index.full_name }};

{% endfor %}
