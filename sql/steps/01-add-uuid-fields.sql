{% for table in tables %}
-- [] {{ table.said }}: the column, empty, with its default for new rows
ALTER TABLE {{ table.name }}
  ADD COLUMN IF NOT EXISTS {{ column }} uuid,
  ALTER COLUMN {{ column }} SET DEFAULT gen_random_uuid();

-- [] {{ table.said }}: the rows that are there get theirs, some blocks per transaction, until a round finds none
DO $fill$
DECLARE
  filled bigint;
  of_round bigint;
BEGIN
  LOOP
    of_round := 0;
    <<blocks>>
    FOR first_block IN 0 .. pg_relation_size({{ table.regclass }}) / current_setting('block_size')::int BY 128 LOOP
{% if table.quiet %}
      -- The table's own triggers are not for this: nothing that they read changes.
      PERFORM set_config('session_replication_role', 'replica', true);
{% endif %}
      UPDATE {{ table.name }} AS live SET {{ column }} = gen_random_uuid()
       WHERE live.ctid >= format('(%s,0)', blocks.first_block)::tid
         AND live.ctid < format('(%s,0)', blocks.first_block + 128)::tid
         AND live.{{ column }} IS NULL;
      GET DIAGNOSTICS filled = ROW_COUNT;
      of_round := of_round + filled;
      COMMIT;
    END LOOP;
    EXIT WHEN of_round = 0;
  END LOOP;
END
$fill$;

-- [] {{ table.said }}: an index that a failed build left behind goes
DO $left$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass({{ table.index_regclass }}) AND NOT indisvalid) THEN
    DROP INDEX {{ table.index }};
  END IF;
END
$left$;

-- [] {{ table.said }}: no two rows share one
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {{ table.index_name }} ON {{ table.name }} ({{ column }});

-- [] {{ table.said }}: proved to be never empty, without a long lock
DO $proved$
BEGIN
  IF NOT (SELECT attnotnull FROM pg_attribute
           WHERE attrelid = {{ table.regclass }} AND attname = {{ column_text }}) THEN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = {{ table.regclass }} AND conname = {{ table.check_text }}) THEN
      ALTER TABLE {{ table.name }} ADD CONSTRAINT {{ table.check }} CHECK ({{ column }} IS NOT NULL) NOT VALID;
      COMMIT;
    END IF;
    ALTER TABLE {{ table.name }} VALIDATE CONSTRAINT {{ table.check }};
    COMMIT;
    ALTER TABLE {{ table.name }} ALTER COLUMN {{ column }} SET NOT NULL, DROP CONSTRAINT {{ table.check }};
  END IF;
END
$proved$;

{% endfor %}
