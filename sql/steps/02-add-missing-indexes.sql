{% for index in indexes %}
-- [] {{ index.said }}: an index that a failed build left behind goes
DO $left$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass({{ index.regclass }}) AND NOT indisvalid) THEN
    DROP INDEX {{ index.full_name }};
  END IF;
END
$left$;

{% if not index.partitions %}
-- [] {{ index.said }}: {{ index.why }}
CREATE {{ index.unique }}INDEX CONCURRENTLY IF NOT EXISTS {{ index.name }}
  ON {{ index.table }} ({{ index.columns }}){{ index.rest }};

{% else %}
-- [] {{ index.said }}: {{ index.why }}; an empty shell, which becomes valid with the last partition's index
CREATE {{ index.unique }}INDEX IF NOT EXISTS {{ index.name }}
  ON ONLY {{ index.table }} ({{ index.columns }}){{ index.rest }};

{% for part in index.partitions %}
-- [] {{ part.said }}: an index that a failed build left behind goes
DO $left$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass({{ part.regclass }}) AND NOT indisvalid) THEN
    DROP INDEX {{ part.full_name }};
  END IF;
END
$left$;

-- [] {{ part.said }}: the partition's own
CREATE {{ index.unique }}INDEX CONCURRENTLY IF NOT EXISTS {{ part.name }}
  ON {{ part.table }} ({{ index.columns }}){{ index.rest }};

-- [] {{ part.said }}: it belongs to the whole table's
ALTER INDEX {{ index.full_name }} ATTACH PARTITION {{ part.full_name }};

{% endfor %}
{% endif %}
{% endfor %}
