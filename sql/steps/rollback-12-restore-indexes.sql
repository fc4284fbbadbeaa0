{% for index in dropped %}
-- [] {{ index.said }}: as it was
{{ index.definition }};

{% endfor %}
