-- [] The schema that holds them
CREATE SCHEMA IF NOT EXISTS {{ schema }};

-- [] One row per user and tenant. Ids are texts: they stay right when the application's become uuids
CREATE TABLE IF NOT EXISTS {{ schema }}.cache (
  cache_key text GENERATED ALWAYS AS (tenant_id || ':' || user_id) STORED PRIMARY KEY,
  user_id text NOT NULL,
  tenant_id text NOT NULL,
  permissions jsonb NOT NULL,
  roles jsonb NOT NULL,
  hash text GENERATED ALWAYS AS (md5(permissions::text || roles::text)) STORED,
  version bigint NOT NULL DEFAULT 1,
  computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  snapshot pg_snapshot NOT NULL,
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()
);

-- [] To invalidate a user everywhere
CREATE INDEX IF NOT EXISTS cache_user ON {{ schema }}.cache (user_id);

-- [] What was made stale, when, and by what
-- An entry is stale if its snapshot does not see one of its user's rows here, or if its own transaction wrote one:
-- to a snapshot all of its own transaction looks finished.
CREATE TABLE IF NOT EXISTS {{ schema }}.invalidation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  user_id text,
  reason text NOT NULL,
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()
);

-- [] To ask for a user's
CREATE INDEX IF NOT EXISTS invalidation_user ON {{ schema }}.invalidation (user_id);

-- [] Users whose entries are computed before they ask. Nothing is unique here: no session waits for another's transaction
CREATE TABLE IF NOT EXISTS {{ schema }}.warm_up (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL,
  tenant_id text NOT NULL
);

-- [] Hits and misses per hour and server process: readers do not wait for each other's transactions
CREATE TABLE IF NOT EXISTS {{ schema }}.use (
  hour timestamptz NOT NULL,
  process int NOT NULL,
  hits bigint NOT NULL DEFAULT 0,
  misses bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (hour, process)
);

-- [] The hit rate, hour by hour
CREATE OR REPLACE VIEW {{ schema }}.metrics AS
SELECT hour, sum(hits)::bigint AS hits, sum(misses)::bigint AS misses,
       round(sum(hits) / nullif(sum(hits) + sum(misses), 0), 4) AS hit_rate
  FROM {{ schema }}.use GROUP BY hour;

-- [] How long an entry holds, and whether the cache is used at all
CREATE TABLE IF NOT EXISTS {{ schema }}.configuration (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  enabled boolean NOT NULL DEFAULT true,
  expires_after interval NOT NULL
);

-- [] As the plan says, where nothing is said yet
INSERT INTO {{ schema }}.configuration (expires_after) VALUES ({{ expires_after }}::interval) ON CONFLICT DO NOTHING;

-- [] What everybody may do, as the plan's query has it
-- A cast from text to text would be dropped, and these columns would become uuids together with the application's ids.
CREATE OR REPLACE VIEW {{ schema }}.computed AS
SELECT q.user_id::varchar::text AS user_id, q.tenant_id::varchar::text AS tenant_id, q.permissions::jsonb AS permissions, q.roles::jsonb AS roles
  FROM ({{ query }}) AS q;

-- [] What a user may do in a tenant: from the cache, or computed and kept
CREATE OR REPLACE FUNCTION {{ schema }}.permissions_of(of_user text, of_tenant text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  found_there jsonb;
  hit boolean;
BEGIN
  SELECT c.permissions INTO found_there FROM {{ schema }}.cache AS c
   WHERE c.cache_key = of_tenant || ':' || of_user AND c.expires_at > clock_timestamp()
     AND (SELECT f.enabled FROM {{ schema }}.configuration AS f)
     AND NOT EXISTS (SELECT FROM {{ schema }}.invalidation AS i
                      WHERE (i.user_id = of_user OR i.user_id IS NULL)
                        AND (i.transaction_id = c.transaction_id
                             OR NOT pg_visible_in_snapshot(i.transaction_id, c.snapshot)));
  hit := found_there IS NOT NULL;
  IF NOT hit THEN
    found_there := {{ schema }}.compute(of_user, of_tenant);
  END IF;
  INSERT INTO {{ schema }}.use AS u (hour, process, hits, misses)
  VALUES (date_trunc('hour', clock_timestamp()), pg_backend_pid(), hit::int, (NOT hit)::int)
  ON CONFLICT (hour, process) DO UPDATE SET hits = u.hits + excluded.hits, misses = u.misses + excluded.misses;
  RETURN found_there;
END
$body$;

-- [] Computes one entry, and stores it unless another session is about to
CREATE OR REPLACE FUNCTION {{ schema }}.compute(of_user text, of_tenant text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  made jsonb;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended({{ schema_text }} || ':' || of_tenant || ':' || of_user, 0)) THEN
    SELECT q.permissions INTO made FROM {{ schema }}.computed AS q WHERE q.user_id = of_user AND q.tenant_id = of_tenant;
    RETURN made;
  END IF;
  INSERT INTO {{ schema }}.cache AS c (user_id, tenant_id, permissions, roles, expires_at, snapshot)
  SELECT q.user_id, q.tenant_id, q.permissions, q.roles, clock_timestamp() + f.expires_after, pg_current_snapshot()
    FROM {{ schema }}.computed AS q, {{ schema }}.configuration AS f
   WHERE q.user_id = of_user AND q.tenant_id = of_tenant
  ON CONFLICT (cache_key) DO UPDATE
    SET permissions = excluded.permissions, roles = excluded.roles, version = c.version + 1,
        computed_at = clock_timestamp(), expires_at = excluded.expires_at, snapshot = excluded.snapshot,
        transaction_id = excluded.transaction_id
  RETURNING c.permissions INTO made;
  IF made IS NULL THEN
    DELETE FROM {{ schema }}.cache AS c WHERE c.cache_key = of_tenant || ':' || of_user;
  END IF;
  RETURN made;
END
$body$;

-- [] Computes those who wait for it, the first ones first, and forgets what no entry can need. Call it now and then
CREATE OR REPLACE FUNCTION {{ schema }}.warm(at_most int DEFAULT 1000) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog AS $body$
  DELETE FROM {{ schema }}.invalidation AS i USING {{ schema }}.configuration AS f
   WHERE i.created_at < clock_timestamp() - 2 * f.expires_after - interval '1 day';
  WITH taken AS (
    DELETE FROM {{ schema }}.warm_up AS w
     WHERE w.id IN (SELECT id FROM {{ schema }}.warm_up ORDER BY id LIMIT at_most FOR UPDATE SKIP LOCKED)
    RETURNING w.user_id, w.tenant_id
  )
  SELECT count({{ schema }}.compute(w.user_id, w.tenant_id)) FROM (SELECT DISTINCT user_id, tenant_id FROM taken) AS w
$body$;

-- [] Makes users' entries stale; NULL means everybody's
CREATE OR REPLACE FUNCTION {{ schema }}.invalidate(users text[], why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
BEGIN
  INSERT INTO {{ schema }}.invalidation (user_id, reason) SELECT u, why FROM unnest(coalesce(users, ARRAY[NULL])) AS u;
  INSERT INTO {{ schema }}.warm_up (user_id, tenant_id)
  SELECT c.user_id, c.tenant_id FROM {{ schema }}.cache AS c WHERE users IS NULL OR c.user_id = ANY (users);
END
$body$;

{% for source in sources %}
-- [] {{ source.said }}: a change of it makes {% if source.user %}its users' entries{% else %}every entry{% endif %} stale
CREATE OR REPLACE FUNCTION {{ schema }}.{{ source.function }}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
BEGIN
{% if source.user %}
  CASE TG_OP
  WHEN 'INSERT' THEN
    PERFORM {{ schema }}.invalidate(array_agg(c.id), TG_TABLE_NAME)
       FROM (SELECT DISTINCT {{ source.user }} AS id FROM new_rows AS r) AS c HAVING count(*) > 0;
  WHEN 'DELETE' THEN
    PERFORM {{ schema }}.invalidate(array_agg(c.id), TG_TABLE_NAME)
       FROM (SELECT DISTINCT {{ source.user }} AS id FROM old_rows AS r) AS c HAVING count(*) > 0;
  WHEN 'UPDATE' THEN
    PERFORM {{ schema }}.invalidate(array_agg(DISTINCT c.id), TG_TABLE_NAME)
       FROM (SELECT {{ source.user }} AS id FROM new_rows AS r UNION SELECT {{ source.user }} FROM old_rows AS r) AS c HAVING count(*) > 0;
  ELSE
    PERFORM {{ schema }}.invalidate(NULL, TG_TABLE_NAME);
  END CASE;
{% else %}
  PERFORM {{ schema }}.invalidate(NULL, TG_TABLE_NAME);
{% endif %}
  RETURN NULL;
END
$body$;

-- [] {{ source.said }}: the triggers
DO $triggers$
BEGIN
  CREATE OR REPLACE TRIGGER replank_permission_insert AFTER INSERT ON {{ source.name }}
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.{{ source.function }}();
  CREATE OR REPLACE TRIGGER replank_permission_update AFTER UPDATE ON {{ source.name }}
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.{{ source.function }}();
  CREATE OR REPLACE TRIGGER replank_permission_delete AFTER DELETE ON {{ source.name }}
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.{{ source.function }}();
  CREATE OR REPLACE TRIGGER replank_permission_truncate AFTER TRUNCATE ON {{ source.name }}
    FOR EACH STATEMENT EXECUTE FUNCTION {{ schema }}.{{ source.function }}();
END
$triggers$;

{% endfor %}
