-- unique_indexes: unique keys over plain columns, nullable and partial ones too
SELECT i.indrelid::bigint AS oid, ic.relname AS name,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, i.indnullsnotdistinct AS nulls_equal,
       (SELECT array_agg(a.attname::text ORDER BY k.n)
          FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) AS columns
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
 WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisunique AND i.indexprs IS NULL
 ORDER BY i.indrelid, ic.relname;

-- key_states: what the catalogue promises of foreign keys: validated, enforced, and whether their triggers are on
SELECT con.oid::bigint AS oid, con.convalidated AS validated,
       coalesce(to_jsonb(con) ->> 'conenforced' = 'false', false) AS not_enforced,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = con.oid AND t.tgenabled IN ('D', 'R')) AS switched_off
  FROM pg_constraint con WHERE con.oid = ANY (%(oids)s::oid[]);

-- referring_columns: columns of user tables that could hold ids without saying so: text, arrays of text, JSON
SELECT a.attrelid::bigint AS oid, a.attname AS name,
       CASE WHEN t.typname IN ('json', 'jsonb') THEN 'json' WHEN t.typcategory = 'A' THEN 'array' ELSE 'text' END AS form
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
   AND t.typname IN ('json', 'jsonb', 'text', 'varchar', 'bpchar', '_text', '_varchar', '_bpchar')
 ORDER BY a.attrelid, a.attnum;

-- rights: what we may do with tables and their schemas
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, pg_has_role(current_user, c.relowner, 'USAGE') AS owned,
       pg_get_userbyid(c.relowner) AS owner, pg_has_role(session_user, c.relowner, 'MEMBER') AS member,
       pg_has_role(session_user, c.relowner, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS may_give,
       has_table_privilege(c.oid, 'REFERENCES') AS may_reference,
       has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AS may_read,
       row_security_active(c.oid) AS filtered,
       has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AS may_lock,
       has_schema_privilege(n.oid, 'CREATE') AS may_create
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY (%(oids)s::oid[]) ORDER BY n.nspname, c.relname;

-- server_state: what decides whether the server can take a rebuild now
SELECT pg_is_in_recovery() AS in_recovery,
       pg_size_bytes(current_setting('max_wal_size')) AS max_wal_bytes;

-- data_directory: where the server keeps its files; only some roles may know
SELECT current_setting('data_directory') AS path;

-- knows_data_directory: whether we may ask for it
SELECT pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') AS allowed;

-- slots: replication slots and the WAL each holds back
SELECT slot_name AS name, active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS retained_bytes
  FROM pg_replication_slots WHERE NOT temporary ORDER BY slot_name;

-- long_transactions: sessions of this database whose transaction is older than the given seconds
SELECT pid, coalesce(application_name, '') AS application, coalesce(usename, '') AS role, coalesce(state, '') AS state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
   AND xact_start < clock_timestamp() - make_interval(secs => %(seconds)s)
 ORDER BY xact_start;

-- prepared_transactions: two-phase transactions of this database that are not ended
SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds
  FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared;

-- taken_names: names that a table, its indexes and sequences need in a building schema, and that are taken there
SELECT n.nspname AS schema, k.relname AS name
  FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace
 WHERE n.nspname = ANY (%(schemas)s::text[])
   AND k.relname IN (SELECT c.relname FROM pg_class c WHERE c.oid = %(oid)s::oid
                     UNION SELECT ic.relname FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = %(oid)s::oid)
 ORDER BY n.nspname, k.relname;

-- taken_on_update: a function without parameters, or a trigger, that has the name which on_update gives to its own
SELECT 'function' AS kind, format('%%I.%%I()', n.nspname, p.proname) AS object
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = %(schema)s AND p.proname = %(name)s AND p.pronargs = 0
UNION ALL
SELECT 'trigger', t.tgname::text FROM pg_trigger t WHERE t.tgrelid = %(oid)s::oid AND t.tgname = %(name)s
 ORDER BY 1;

-- statements_schema: where pg_stat_statements is installed in this database, and whether it says when it began to count
SELECT n.nspname AS schema,
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements_info') AS has_info
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements';

-- statements_reset: when pg_stat_statements began to count
SELECT stats_reset AS since FROM {info}

-- statements: the queries of this database, the most called ones first. From 1.11 of the extension on each has its own time
SELECT s.query, sum(s.calls)::bigint AS calls,
       extract(epoch FROM clock_timestamp() - min(coalesce((to_jsonb(s) ->> 'stats_since')::timestamptz, %(since)s::timestamptz)))::float8 AS seconds
  FROM {view} AS s
 WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.queryid IS NOT NULL
 GROUP BY s.query ORDER BY sum(s.calls) DESC LIMIT {limit}

-- statements_hidden: how many entries of this database are of roles whose statements may not be read, and of how many in all
SELECT count(*) FILTER (WHERE queryid IS NULL) AS hidden, count(*) AS known FROM {view}
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database());

-- other_columns: the columns of tables and views that are not planned, with the names of their types; domains are looked through
SELECT n.nspname AS schema, c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       array_agg(coalesce(b.typname, t.typname)::text ORDER BY a.attnum) AS types
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
 WHERE c.relkind IN ('r', 'p', 'f', 'm') AND NOT c.relispartition AND c.oid <> ALL (%(oids)s::oid[])
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'replank')
 GROUP BY 1, 2;

-- text_functions: functions that take a text somewhere and no uuid there, by position from 0, and those that always give a text
WITH taken AS (
  SELECT p.proname::text AS name, a.n - 1 AS position,
         bool_or(t.typname IN ('text', 'varchar', 'bpchar')) AS texts,
         bool_or(t.typname IN ('uuid', 'any', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray')) AS others
    FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n) JOIN pg_type t ON t.oid = a.type
   WHERE p.prokind IN ('f', 'a', 'w') GROUP BY 1, 2)
SELECT name, position::int, true AS takes FROM taken WHERE texts AND NOT others
UNION ALL
SELECT p.proname::text, 0, false FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
 WHERE p.prokind IN ('f', 'a', 'w') GROUP BY 1
HAVING bool_or(t.typname IN ('text', 'varchar', 'bpchar')) AND bool_and(NOT p.proretset AND (t.typname IN ('text', 'varchar', 'bpchar') OR t.typtype = 'p'));

-- functions_naming: functions of the user whose body holds one of the names, with their parameters of text, as named and as numbered
SELECT p.oid::regprocedure::text AS function, p.prosrc AS body,
       ARRAY(SELECT DISTINCT word FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS a (type, n)
               JOIN pg_type t ON t.oid = a.type CROSS JOIN LATERAL (VALUES ('$' || a.n), (nullif(p.proargnames[a.n], ''))) AS w (word)
              WHERE t.typname IN ('text', 'varchar', 'bpchar', '_text', '_varchar', '_bpchar') AND word IS NOT NULL ORDER BY 1) AS texts,
       ARRAY(SELECT DISTINCT t.tgrelid::bigint FROM pg_trigger t
              WHERE t.tgfoid = p.oid AND NOT t.tgisinternal AND t.tgrelid = ANY (%(oids)s::oid[])) AS trigger_of
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'replank') AND l.lanname NOT IN ('internal', 'c')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
   AND EXISTS (SELECT FROM unnest(%(names)s::text[]) AS wanted (name) WHERE strpos(lower(p.prosrc), lower(wanted.name)) > 0)
 ORDER BY 1;
