-- [] The schema that holds them
CREATE SCHEMA IF NOT EXISTS {{ schema }};

-- [] Every change of a row, by month. The primary key holds created_at, as a partitioned table's must
CREATE TABLE IF NOT EXISTS {{ schema }}.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  table_schema text NOT NULL,
  table_name text NOT NULL,
  action text NOT NULL CHECK (action IN ('insert', 'update', 'delete', 'truncate')),
  row_key jsonb,
  old_row jsonb,
  new_row jsonb,
  actor text,
  request_id text,
  database_user text NOT NULL DEFAULT session_user,
  application text NOT NULL DEFAULT current_setting('application_name'),
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);

-- [] What no month is for is kept all the same
CREATE TABLE IF NOT EXISTS {{ schema }}.audit_log_default PARTITION OF {{ schema }}.audit_log DEFAULT;

-- [] Makes the months from this one on; call it daily, or let `retain` do so
CREATE OR REPLACE FUNCTION {{ schema }}.make_months(ahead int) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
  part text;
BEGIN
  FOR step IN 0 .. ahead LOOP
    part := 'audit_log_' || to_char(month, 'YYYY_MM');
    IF to_regclass({{ schema_text }} || '.' || part) IS NULL THEN
      EXECUTE format('CREATE TABLE %s.%I PARTITION OF %s.audit_log FOR VALUES FROM (%L) TO (%L)',
        {{ schema_text }}, part, {{ schema_text }},
        month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
    month := month + interval '1 month';
  END LOOP;
END
$body$;

-- [] The months to come
SELECT {{ schema }}.make_months({{ months_ahead }});

-- [] To find what was done to a row, and what a user did
CREATE INDEX IF NOT EXISTS audit_log_row ON {{ schema }}.audit_log (table_schema, table_name, row_key, created_at);

-- [] By actor
CREATE INDEX IF NOT EXISTS audit_log_actor ON {{ schema }}.audit_log (actor, created_at) WHERE actor IS NOT NULL;

-- [] Which user has read what: the application writes here
CREATE TABLE IF NOT EXISTS {{ schema }}.data_access (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  table_schema text NOT NULL,
  table_name text NOT NULL,
  row_key jsonb,
  purpose text,
  request_id text
);

-- [] Events of security: logins, refused permissions, changed roles
CREATE TABLE IF NOT EXISTS {{ schema }}.security_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  severity text NOT NULL DEFAULT 'info' CHECK (severity IN ('info', 'warning', 'critical')),
  actor text,
  detail jsonb NOT NULL DEFAULT '{}',
  request_id text
);

-- [] Events of compliance: exports, erasures, consents
CREATE TABLE IF NOT EXISTS {{ schema }}.compliance_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  subject text,
  actor text,
  detail jsonb NOT NULL DEFAULT '{}'
);

-- [] How much is captured, per day and table
CREATE OR REPLACE VIEW {{ schema }}.metrics AS
SELECT date_trunc('day', created_at) AS day, table_schema, table_name, action, count(*) AS entries
  FROM {{ schema }}.audit_log GROUP BY 1, 2, 3, 4;

-- [] How long everything is kept
CREATE TABLE IF NOT EXISTS {{ schema }}.retention (
  name text PRIMARY KEY CHECK (name IN ('audit_log', 'data_access', 'security_event', 'compliance_event')),
  keep interval NOT NULL
);

-- [] As the plan says, where nothing is said yet
INSERT INTO {{ schema }}.retention (name, keep)
SELECT unnest(ARRAY['audit_log', 'data_access', 'security_event', 'compliance_event']), {{ keep }}::interval
ON CONFLICT (name) DO NOTHING;

-- [] Takes away what is past keeping, and makes the months to come. Call it daily
CREATE OR REPLACE FUNCTION {{ schema }}.retain() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  part record;
  kept record;
BEGIN
  PERFORM {{ schema }}.make_months({{ months_ahead }});
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN {{ schema }}.retention r ON r.name = 'audit_log'
     WHERE i.inhparent = to_regclass({{ schema_text }} || '.audit_log') AND c.relname ~ '^audit_log_[0-9]{4}_[0-9]{2}$'
       AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= (clock_timestamp() - r.keep) AT TIME ZONE 'UTC'
  LOOP
    EXECUTE format('DROP TABLE %s.%I', {{ schema_text }}, part.relname);
  END LOOP;
  FOR kept IN SELECT * FROM {{ schema }}.retention LOOP
    EXECUTE format('DELETE FROM %s.%I WHERE created_at < clock_timestamp() - $1', {{ schema_text }},
      CASE kept.name WHEN 'audit_log' THEN 'audit_log_default' ELSE kept.name END) USING kept.keep;
  END LOOP;
END
$body$;

-- [] The key of a row by its columns, as many as there are
CREATE OR REPLACE FUNCTION {{ schema }}.key_of(of_row jsonb, key_columns text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$
  SELECT pg_catalog.jsonb_object_agg(k, of_row OPERATOR(pg_catalog.->) k) FROM pg_catalog.unnest(key_columns) AS k
$body$;

{% macro key() %}
CASE cardinality(key_columns)
           WHEN 1 THEN jsonb_build_object(key_columns[1], row -> key_columns[1])
           ELSE {{ schema }}.key_of(row, key_columns) END
{%- endmacro %}
-- [] Writes one entry for each row of a statement. It has its owner's rights: clients need none on the log
CREATE OR REPLACE FUNCTION {{ schema }}.capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
DECLARE
  who text := nullif(current_setting({{ actor }}, true), '');
  request text := nullif(current_setting({{ request }}, true), '');
  key_columns text[] := TG_ARGV[0]::text[];
BEGIN
  CASE TG_OP
  WHEN 'INSERT' THEN
    WITH n AS MATERIALIZED (SELECT to_jsonb(t.*) AS row FROM new_rows AS t)
    INSERT INTO {{ schema }}.audit_log (table_schema, table_name, action, row_key, new_row, actor, request_id)
    SELECT TG_TABLE_SCHEMA, TG_TABLE_NAME, 'insert', {{ as_written(key()) }}, row, who, request FROM n;
  WHEN 'DELETE' THEN
    WITH o AS MATERIALIZED (SELECT to_jsonb(t.*) AS row FROM old_rows AS t)
    INSERT INTO {{ schema }}.audit_log (table_schema, table_name, action, row_key, old_row, actor, request_id)
    SELECT TG_TABLE_SCHEMA, TG_TABLE_NAME, 'delete', {{ as_written(key()) }}, row, who, request FROM o;
  WHEN 'UPDATE' THEN
    -- A row whose key changed has two entries, one by each key. Without a key nothing can be paired.
    WITH o AS MATERIALIZED (SELECT to_jsonb(t.*) AS row FROM old_rows AS t),
         n AS MATERIALIZED (SELECT to_jsonb(t.*) AS row FROM new_rows AS t),
         before AS MATERIALIZED (SELECT {{ as_written(key()) }} AS key, row FROM o),
         after AS MATERIALIZED (SELECT {{ as_written(key()) }} AS key, row FROM n)
    INSERT INTO {{ schema }}.audit_log (table_schema, table_name, action, row_key, old_row, new_row, actor, request_id)
    SELECT TG_TABLE_SCHEMA, TG_TABLE_NAME, 'update', coalesce(before.key, after.key), before.row, after.row, who, request
      FROM before FULL JOIN after ON before.key = after.key;
  WHEN 'TRUNCATE' THEN
    INSERT INTO {{ schema }}.audit_log (table_schema, table_name, action, actor, request_id)
    VALUES (TG_TABLE_SCHEMA, TG_TABLE_NAME, 'truncate', who, request);
  END CASE;
  RETURN NULL;
END
$body$;

{% for table in tables %}
-- [] {{ table.said }}: every change is captured from here on
DO $capture$
BEGIN
  CREATE OR REPLACE TRIGGER replank_audit_insert AFTER INSERT ON {{ table.name }}
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.capture({{ table.key }});
  CREATE OR REPLACE TRIGGER replank_audit_update AFTER UPDATE ON {{ table.name }}
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.capture({{ table.key }});
  CREATE OR REPLACE TRIGGER replank_audit_delete AFTER DELETE ON {{ table.name }}
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.capture({{ table.key }});
  CREATE OR REPLACE TRIGGER replank_audit_truncate AFTER TRUNCATE ON {{ table.name }}
    FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.capture({{ table.key }});
END
$capture$;

{% endfor %}
