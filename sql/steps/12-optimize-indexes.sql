{% for index in dropped %}
-- [] {{ index.said }}: agreed to go ({{ index.why }})
DROP INDEX CONCURRENTLY IF EXISTS {{ index.full_name }};

{% endfor %}
{% for index in built_again %}
-- [] {{ index.said }}: what a rebuild that was ended has left behind goes
DO $left$
DECLARE
  leftover regclass;
BEGIN
  FOR leftover IN
    SELECT half.indexrelid::regclass FROM pg_index half JOIN pg_class c ON c.oid = half.indexrelid
      JOIN pg_index kept ON kept.indrelid = half.indrelid AND kept.indkey::text = half.indkey::text
     WHERE kept.indexrelid = to_regclass({{ text(index.full_name) }}) AND NOT half.indisvalid
       AND half.indexrelid <> kept.indexrelid AND c.relname ~ '_cc(new|old)[0-9]*$'
  LOOP
    EXECUTE 'DROP INDEX ' || leftover;
  END LOOP;
END
$left$;

-- [] {{ index.said }}: built again beside the old one, which goes then
REINDEX INDEX CONCURRENTLY {{ index.full_name }};

{% endfor %}
