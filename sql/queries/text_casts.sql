-- present: text and varchar, each with the comment of its cast to uuid: empty where a cast has none, NULL where there is no cast
SELECT t.typname AS name, CASE WHEN c.oid IS NOT NULL THEN coalesce(obj_description(c.oid, 'pg_cast'), '') END AS comment
  FROM pg_type t LEFT JOIN pg_cast c ON c.castsource = t.oid AND c.casttarget = 'uuid'::regtype
 WHERE t.oid IN ('text'::regtype, 'varchar'::regtype) ORDER BY t.typname;
