-- triggers: the user's own triggers, as they are to stand on the new table; `shortened`: in names that the present search_path finds
SELECT tg.tgname AS name, pg_get_triggerdef(tg.oid, %(shortened)s) AS definition, tg.tgenabled::text AS enabled,
       obj_description(tg.oid, 'pg_trigger') AS comment
  FROM pg_trigger tg
 WHERE tg.tgrelid = %(oid)s::oid AND NOT tg.tgisinternal AND tg.tgparentid = 0 AND tg.tgname NOT LIKE 'replank\_capture\_%%'
 ORDER BY tg.tgname;

-- other_states: a partition's copies of its parent's triggers that are switched otherwise than there
SELECT tg.tgname AS name, tg.tgenabled::text AS enabled
  FROM pg_trigger tg JOIN pg_trigger parent ON parent.oid = tg.tgparentid
 WHERE tg.tgrelid = %(oid)s::oid AND NOT tg.tgisinternal AND tg.tgenabled <> parent.tgenabled
   AND tg.tgname NOT LIKE 'replank\_capture\_%%'
 ORDER BY tg.tgname;

-- sequences: sequences that a column owns (serial) or that are part of it (identity)
SELECT s.oid::bigint AS number, n.nspname AS schema, s.relname AS name, a.attname AS column, d.deptype = 'i' AS identity, pg_get_userbyid(s.relowner) AS owner
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s::oid
   AND d.deptype IN ('a', 'i')
 ORDER BY a.attname, s.relname;

-- next_sequence: the identity sequence of a column of the next table
SELECT n.nspname AS schema, s.relname AS name
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
   AND cn.nspname = %(schema)s AND c.relname = %(table)s AND a.attname = %(column)s;

-- autovacuum_setting: autovacuum_enabled of a table, NULL where it is not set
SELECT (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_enabled') AS setting
  FROM pg_class c WHERE c.oid = %(oid)s::oid;

-- vacuums: vacuums that are running on the given tables, and whether they guard against wraparound
SELECT a.pid, c.relname AS table, a.query LIKE '%%(to prevent wraparound)%%' AS wraparound
  FROM pg_stat_progress_vacuum v JOIN pg_stat_activity a ON a.pid = v.pid JOIN pg_class c ON c.oid = v.relid
 WHERE v.relid = ANY (%(oids)s::oid[]);

-- blockers: sessions that have held locks on the given tables for at least so long, the longest first
SELECT a.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS role, coalesce(a.state, '') AS state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds, left(a.query, 120) AS query
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND a.xact_start <= clock_timestamp() - %(seconds)s * interval '1 second'
   AND a.pid IN (
       SELECT l.pid FROM pg_locks l WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY (%(oids)s::oid[])
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
 ORDER BY a.xact_start LIMIT 5;

-- prepared_blockers: prepared transactions that have held locks on the given tables for at least so long, the oldest first
SELECT p.gid, p.owner, extract(epoch FROM clock_timestamp() - p.prepared)::float8 AS seconds
  FROM pg_prepared_xacts p
 WHERE p.database = current_database() AND p.prepared <= clock_timestamp() - %(seconds)s * interval '1 second'
   -- Such locks have no pid. Those of one transaction have the same virtual one, and one of them is on its own number.
   AND EXISTS (SELECT FROM pg_locks own JOIN pg_locks l ON l.virtualtransaction = own.virtualtransaction AND l.pid IS NULL
                WHERE own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.pid IS NULL
                  AND l.locktype = 'relation' AND l.relation = ANY (%(oids)s::oid[])
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
 ORDER BY p.prepared LIMIT 5;

-- catalogue_rows: changes when any catalogue row that defines the relations or what hangs on them is written; cheap enough for a lock
WITH used (class, oid) AS (
  SELECT 'pg_class'::regclass::oid, c FROM unnest(%(oids)s::oid[]) AS c
  UNION ALL
  SELECT 'pg_type'::regclass::oid, u.oid FROM pg_class c JOIN pg_type t ON t.oid = c.reltype CROSS JOIN LATERAL (VALUES (t.oid), (t.typarray)) AS u (oid)
   WHERE c.oid = ANY (%(oids)s::oid[])
  UNION ALL
  SELECT 'pg_proc'::regclass::oid, f FROM unnest(%(functions)s::oid[]) AS f)
SELECT md5(string_agg(v, ',' ORDER BY v)) AS stamp FROM (
  SELECT 'c' || oid || ' ' || xmin AS v FROM pg_class WHERE oid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'a' || attrelid || ' ' || attnum || ' ' || xmin FROM pg_attribute WHERE attrelid = ANY (%(oids)s::oid[]) AND attnum > 0
  UNION ALL SELECT 'd' || oid || ' ' || xmin FROM pg_attrdef WHERE adrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'o' || oid || ' ' || xmin FROM pg_constraint
             WHERE conrelid = ANY (%(oids)s::oid[]) OR confrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'i' || indexrelid || ' ' || xmin FROM pg_index WHERE indrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 't' || oid || ' ' || xmin FROM pg_trigger WHERE tgrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'p' || d.classid || ' ' || d.objid FROM used u JOIN pg_depend d ON d.refclassid = u.class AND d.refobjid = u.oid
             WHERE u.class <> 'pg_class'::regclass
                OR d.classid NOT IN ('pg_class'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass)
  UNION ALL SELECT 'h' || inhrelid || ' ' || xmin FROM pg_inherits WHERE inhparent = ANY (%(oids)s::oid[]) OR inhrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'r' || oid || ' ' || xmin FROM pg_rewrite WHERE ev_class = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'y' || oid || ' ' || xmin FROM pg_policy WHERE polrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 's' || oid || ' ' || xmin FROM pg_statistic_ext WHERE stxrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'f' || oid || ' ' || xmin FROM pg_proc WHERE oid = ANY (%(functions)s::oid[])
  UNION ALL SELECT 'u' || oid || ' ' || xmin FROM pg_publication_rel WHERE prrelid = ANY (%(oids)s::oid[])
  UNION ALL SELECT 'l' || oid || ' ' || xmin FROM pg_publication WHERE puballtables
  UNION ALL SELECT 'm' || objoid || ' ' || objsubid || ' ' || xmin FROM pg_description
             WHERE classoid = 'pg_class'::regclass AND objoid = ANY (%(oids)s::oid[])
) AS rows_seen;

-- functions_compiled: PL/pgSQL functions of ours whose body holds one of the names, or the name of such a function, each with a statement that changes nothing of it
WITH RECURSIVE body AS (
  SELECT p.oid, lower(p.proname) AS name, lower(p.prosrc) AS text, p.prosecdef
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
   WHERE l.lanname = 'plpgsql' AND n.nspname NOT LIKE 'replank%%' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
     AND pg_has_role(current_user, p.proowner, 'USAGE')
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')),
knowing AS (
  SELECT b.* FROM body b WHERE EXISTS (SELECT FROM unnest(%(names)s::text[]) AS wanted (name) WHERE strpos(b.text, lower(wanted.name)) > 0)
  UNION
  SELECT b.* FROM knowing k JOIN body b ON strpos(b.text, k.name) > 0)
SELECT oid::bigint AS oid, format('ALTER ROUTINE %%s SECURITY %%s', oid::regprocedure, CASE WHEN prosecdef THEN 'DEFINER' ELSE 'INVOKER' END) AS statement
  FROM knowing ORDER BY oid;

-- older_sessions: other sessions of this database that are there now, by application
SELECT coalesce(nullif(application_name, ''), 'no name') AS application, count(*) AS sessions FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'replank%%'
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10;
