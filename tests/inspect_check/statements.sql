SELECT * FROM item WHERE id = $1
SELECT * FROM item WHERE id = $1::VARCHAR
SELECT * FROM item WHERE item.id = $1::text
SELECT * FROM item AS i WHERE i.owner_id <> $1::varchar(36)
SELECT * FROM item WHERE $1::char(36) < id
SELECT * FROM item WHERE id = CAST($1 AS character varying)
SELECT * FROM item WHERE note = $1::VARCHAR
SELECT * FROM item WHERE n = $1::int AND note IN ($2::VARCHAR, $3::VARCHAR)
SELECT * FROM item WHERE id::text = $1::text
SELECT * FROM item WHERE CAST(id AS varchar) = $1::VARCHAR
SELECT * FROM item WHERE id IN ($1, $2)
SELECT * FROM item WHERE id IN ($1::VARCHAR, $2::VARCHAR)
SELECT * FROM item WHERE id NOT IN ($1::VARCHAR)
SELECT * FROM item WHERE id = ANY ($1)
SELECT * FROM item WHERE id = ANY ($1::varchar[])
SELECT * FROM item WHERE id = ANY ($1::text[]) AND n = 1
SELECT * FROM item WHERE id <> ALL ($1::text[])
SELECT * FROM item WHERE id::text = ANY ($1::text[])
SELECT * FROM item WHERE id = ANY (ARRAY[$1, $2])
SELECT * FROM item WHERE id = ANY (ARRAY[$1::text, $2])
SELECT * FROM item WHERE $1::varchar = ANY (members)
SELECT * FROM item WHERE $1 = ANY (members)
SELECT * FROM item WHERE members @> $1::text[]
SELECT * FROM item WHERE members && $1
SELECT * FROM item WHERE members[1] = $1::text
SELECT members || $1::text FROM item
SELECT * FROM item WHERE id BETWEEN $1 AND $2
SELECT * FROM item WHERE id BETWEEN $1::text AND $2
SELECT * FROM item WHERE id IS DISTINCT FROM $1::VARCHAR
SELECT * FROM item WHERE id IS NOT DISTINCT FROM $1
SELECT NULLIF(id, $1::text) FROM item
SELECT NULLIF(id, $1) FROM item
SELECT * FROM item WHERE (id, n) = ($1::VARCHAR, $2::int)
SELECT * FROM item WHERE (id, n) IN (($1, 1), ($2, 2))
SELECT * FROM item WHERE (id, n) IN (($1::text, 1), ($2::text, 2))
SELECT * FROM item WHERE (note, id) > ($1::text, $2)
SELECT * FROM item WHERE (note, id) > ($1::text, $2::text)
SELECT * FROM item WHERE id LIKE $1
SELECT * FROM item WHERE id NOT ILIKE $1
SELECT * FROM item WHERE id SIMILAR TO $1
SELECT * FROM item WHERE id ~ $1
SELECT * FROM item WHERE id !~* $1
SELECT * FROM item WHERE id ^@ $1
SELECT * FROM item WHERE id::text LIKE $1
SELECT * FROM item WHERE lower(id::text) = lower($1)
SELECT * FROM item WHERE note LIKE $1 AND id = $2
SELECT * FROM item WHERE lower(id) = $1
SELECT * FROM item WHERE id = lower($1)
SELECT * FROM item WHERE id = lower($1)::uuid::text
SELECT left(id, 8) FROM item
SELECT substring(id FROM 1 FOR 8) FROM item
SELECT trim(id) FROM item
SELECT length(id) FROM item
SELECT md5(id) FROM item
SELECT replace(note, $1, $2) FROM item
SELECT replace(id, $1, $2) FROM item
SELECT concat(id, '-') FROM item
SELECT concat_ws('-', id, owner_id) FROM item
SELECT format('%s', id) FROM item
SELECT count(id), array_agg(id) FROM item
SELECT string_agg(id, ',') FROM item
SELECT string_agg(id::text, ',') FROM item
SELECT max(id), min(owner_id) FROM item
SELECT shout(id) FROM item
SELECT shout(note) FROM item
SELECT jsonb_build_object('id', id), to_jsonb(id) FROM item
SELECT hashtext(id) FROM item
SELECT 'item-' || id FROM item
SELECT id || '-' FROM item
SELECT $1 || id FROM item
SELECT id || note FROM item
SELECT id || owner_id FROM item
SELECT id || '-' || owner_id FROM item
SELECT id || $1::text FROM item
SELECT * FROM item WHERE id = note
SELECT * FROM item WHERE id || '' = note
SELECT coalesce(id, $1) FROM item
SELECT coalesce(owner_id, $1::VARCHAR) FROM item
SELECT coalesce(owner_id, id) FROM item
SELECT coalesce(owner_id::text, 'none') FROM item
SELECT * FROM item WHERE coalesce(owner_id, '00000000-0000-0000-0000-000000000000') = $1::text
SELECT greatest(id, $1::text) FROM item
SELECT CASE WHEN n = 1 THEN id ELSE $1::text END FROM item
SELECT CASE WHEN n = 1 THEN id ELSE $1 END FROM item
SELECT CASE id WHEN $1::text THEN 1 END FROM item
SELECT * FROM item ORDER BY id COLLATE "C"
SELECT * FROM item ORDER BY note COLLATE "C"
SELECT * FROM item JOIN owner ON item.owner_id = owner.id WHERE owner.name = $1::VARCHAR
SELECT * FROM item JOIN owner ON item.owner_id = owner.name
SELECT * FROM item i JOIN owner o ON o.id = i.owner_id AND o.id = $1::VARCHAR
SELECT * FROM item JOIN owner USING (id)
SELECT * FROM item NATURAL JOIN owner
SELECT * FROM item JOIN (SELECT name AS id FROM owner) AS o USING (id)
SELECT * FROM (SELECT id AS x, note AS y FROM item) q WHERE q.x = $1::VARCHAR
SELECT * FROM (SELECT id AS x, note AS y FROM item) q WHERE q.y = $1::VARCHAR
SELECT * FROM (SELECT * FROM item) q WHERE q.id = $1::VARCHAR
SELECT * FROM (SELECT item.* FROM item) AS q (a, b) WHERE a = $1::VARCHAR
SELECT * FROM (SELECT id::text AS id FROM item) q WHERE q.id = $1::VARCHAR
WITH q AS (SELECT id FROM item) SELECT * FROM q WHERE id = $1::VARCHAR
WITH q (x) AS (SELECT id FROM item) SELECT * FROM q WHERE x = $1::VARCHAR
WITH item AS (SELECT $2::text AS id) SELECT * FROM item WHERE id = $1::VARCHAR
WITH RECURSIVE up AS (SELECT id, owner_id FROM item WHERE id = $1::text UNION SELECT i.id, i.owner_id FROM item i JOIN up ON up.owner_id = i.id) SELECT * FROM up
WITH RECURSIVE up AS (SELECT id, owner_id FROM item WHERE id = $1 UNION SELECT i.id, i.owner_id FROM item i JOIN up ON up.owner_id = i.id) SELECT * FROM up WHERE up.id = $2::text
SELECT * FROM item WHERE id IN (SELECT line FROM log)
SELECT * FROM item WHERE id IN (SELECT id FROM owner)
SELECT * FROM item WHERE id IN (SELECT name FROM owner)
SELECT * FROM owner WHERE name IN (SELECT note FROM item)
SELECT * FROM item WHERE EXISTS (SELECT FROM owner o WHERE o.id = item.owner_id AND o.id = $1::text)
SELECT * FROM owner WHERE EXISTS (SELECT FROM log WHERE line = $1::text AND log.n = 1)
SELECT (SELECT id FROM item LIMIT 1) = $1::text
SELECT * FROM item WHERE id = (SELECT name FROM owner LIMIT 1)
SELECT id FROM item UNION SELECT $1::text
SELECT id FROM item UNION SELECT id FROM owner
SELECT note FROM item UNION SELECT $1::text
SELECT id FROM item UNION ALL SELECT name FROM owner
SELECT * FROM item WHERE state = $1
SELECT * FROM item WHERE state = $1::VARCHAR
SELECT * FROM item WHERE state IN ($1::text, $2::text)
SELECT * FROM item WHERE state::text = $1::text
SELECT * FROM item WHERE state LIKE $1
SELECT * FROM item WHERE lower(state) = $1
SELECT * FROM item LEFT JOIN LATERAL (SELECT * FROM owner o WHERE o.id = item.owner_id) x ON x.name = $1::text
SELECT * FROM item, unnest($1::text[]) AS wanted WHERE item.id = wanted
SELECT * FROM item, unnest($1::text[]) AS wanted (note) WHERE item.note = wanted.note
SELECT row_number() OVER (PARTITION BY owner_id ORDER BY id) FROM item
SELECT * FROM item GROUP BY id, owner_id, state, members, note, n, created HAVING id = $1::text
SELECT * FROM item LIMIT $1::int
INSERT INTO item (id, n) VALUES ($1, $2)
INSERT INTO item (id, n) VALUES ($1::VARCHAR, $2::INTEGER)
INSERT INTO item (note, id) VALUES ($1::VARCHAR(50), $2)
INSERT INTO item (id, note) VALUES ($1::VARCHAR(36), $2::VARCHAR), ($3::VARCHAR(36), $4::VARCHAR)
INSERT INTO item VALUES ($1, $2::VARCHAR)
INSERT INTO item (id) VALUES (DEFAULT)
INSERT INTO item (id, owner_id) SELECT id, id FROM owner
INSERT INTO item (id, owner_id) SELECT id, name FROM owner
INSERT INTO item (id, n) SELECT p0::VARCHAR, p1::INTEGER FROM (VALUES ($1, $2, 0)) AS imp_sen (p0, p1, sen_counter) ORDER BY sen_counter RETURNING item.id
INSERT INTO log (line) SELECT id FROM item
INSERT INTO item (state) VALUES ($1::VARCHAR)
INSERT INTO item (members) VALUES ($1::VARCHAR[])
INSERT INTO item (members) VALUES (ARRAY[$1, $2])
INSERT INTO item (id) VALUES ($1) RETURNING id = $2::text
INSERT INTO item (id) VALUES ($1) ON CONFLICT DO NOTHING
INSERT INTO item (id) VALUES ($1) ON CONFLICT (id, created) DO UPDATE SET owner_id = $2::VARCHAR
INSERT INTO item (id) VALUES ($1) ON CONFLICT (id, created) DO UPDATE SET owner_id = excluded.id WHERE item.id = $2::text
INSERT INTO item (id) VALUES ($1) ON CONFLICT (id, created) DO UPDATE SET owner_id = excluded.note
INSERT INTO owner (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET name = $2::VARCHAR
UPDATE item SET owner_id = $1::VARCHAR WHERE id = $2
UPDATE item SET owner_id = $1 WHERE id = $2
UPDATE item SET note = $1::VARCHAR WHERE id = $2
UPDATE item SET note = $1::VARCHAR WHERE item.id = $2::VARCHAR
UPDATE item SET (owner_id, note) = ($1::text, $2::text)
UPDATE item SET (note, owner_id) = ($1::text, $2)
UPDATE item SET (note, owner_id) = (SELECT name, id FROM owner LIMIT 1)
UPDATE item SET (owner_id, note) = (SELECT name, name FROM owner LIMIT 1)
UPDATE item SET owner_id = o.id FROM owner o WHERE o.id = item.owner_id AND o.name = $1::text
UPDATE item SET owner_id = o.name FROM owner o WHERE o.id = item.owner_id
UPDATE item SET owner_id = CASE WHEN n = 1 THEN $1 ELSE owner_id END
UPDATE item SET owner_id = CASE WHEN n = 1 THEN $1::text ELSE $2::text END
UPDATE item SET note = id
UPDATE item SET owner_id = NULL WHERE note = $1::text
DELETE FROM item WHERE id = $1::VARCHAR
DELETE FROM item WHERE id = $1
DELETE FROM item USING owner WHERE owner.id = item.owner_id AND owner.id = $1::text
MERGE INTO owner USING (VALUES ($1::text, $2::text)) AS v (id, name) ON v.id = owner.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)
MERGE INTO owner USING item ON item.owner_id = owner.id WHEN MATCHED THEN UPDATE SET name = $1::text WHEN NOT MATCHED THEN INSERT (id, name) VALUES (item.owner_id, item.note)
MERGE INTO owner USING item ON item.owner_id = owner.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (item.note, item.note)
