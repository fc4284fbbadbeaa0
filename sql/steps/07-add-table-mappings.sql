{% include "mapping-procedures.sql" %}
{% for block in forward %}
-- [] {{ block.said }}
{% if block.calls | length == 1 %}
{{ block.calls[0] }};
{% else %}
DO $together$
BEGIN
{% for call in block.calls %}
  {{ call }};
{% endfor %}
END
$together$;
{% endif %}

{% endfor %}
-- [] The procedures have done their work
DROP SCHEMA replank_mapping CASCADE;
