-- server: the server's version and this session's roles
SELECT current_setting('server_version_num')::int AS version,
       current_database() AS database,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       current_user AS role,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats;

-- identity: the cluster and the database, however a URL spells them
SELECT (SELECT system_identifier FROM pg_control_system()) || ':' || oid AS identity
  FROM pg_database WHERE datname = current_database();

-- user_tables: every table of the user's own schemas, with what decides how it may be rebuilt; a partitioned one is as large as its leaves
WITH RECURSIVE tree (root, oid, relkind) AS (
  SELECT c.oid, c.oid, c.relkind FROM pg_class c WHERE c.relkind IN ('r', 'p') AND (%(oids)s::oid[] IS NULL OR c.oid = ANY (%(oids)s::oid[]))
  UNION ALL
  SELECT t.root, c.oid, c.relkind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid WHERE t.relkind = 'p'),
size AS (
  SELECT t.root, sum(greatest(c.reltuples, 0))::bigint AS rows, bool_and(c.reltuples < 0) AS unknown, sum(pg_table_size(c.oid))::bigint AS table_bytes,
         sum(pg_indexes_size(c.oid))::bigint AS index_bytes, sum(pg_relation_size(c.oid) / current_setting('block_size')::int)::bigint AS blocks,
         max(pg_relation_size(c.oid) / current_setting('block_size')::int) AS longest
    FROM tree t JOIN pg_class c ON c.oid = t.oid WHERE t.relkind <> 'p' GROUP BY t.root)
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS relkind,
       c.relispartition AS is_partition, c.relpersistence::text AS persistence,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) AS has_children,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) AS has_parent,
       c.reloftype <> 0 AS typed,
       EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid) AS subscribed,
       CASE WHEN s.unknown THEN -1 ELSE coalesce(s.rows, 0) END AS rows_estimate,
       coalesce(s.table_bytes, 0) AS table_bytes, coalesce(s.index_bytes, 0) AS index_bytes,
       coalesce(s.blocks, 0) AS heap_blocks, coalesce(s.longest, 0) AS longest_heap,
       pg_has_role(current_user, c.relowner, 'USAGE') AS owned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN size s ON s.root = c.oid
 WHERE c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'replank')
   AND n.nspname NOT LIKE 'pg\_%%' AND n.nspname NOT LIKE 'replank\_next%%' AND n.nspname NOT LIKE 'replank\_past%%' AND n.nspname NOT LIKE 'replank\_rolled\_back%%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   AND (%(oids)s::oid[] IS NULL OR c.oid = ANY (%(oids)s::oid[]))
 ORDER BY n.nspname, c.relname;

-- partitions: every partition of a table, at any depth, parents first
WITH RECURSIVE tree (oid, parent, depth) AS (
  SELECT i.inhrelid, i.inhparent, 1 FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
   WHERE i.inhparent = %(oid)s::oid AND p.relkind = 'p'
  UNION ALL
  SELECT i.inhrelid, i.inhparent, t.depth + 1 FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
SELECT t.oid::bigint AS oid, t.parent::bigint AS parent, n.nspname AS schema, c.relname AS name,
       pg_get_expr(c.relpartbound, c.oid) AS bound, coalesce(pg_get_partkeydef(c.oid), '') AS partitioned_by
  FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY t.depth, n.nspname, c.relname;

-- partition_key: how a table is partitioned, as the server writes it; empty for a plain one
SELECT coalesce(pg_get_partkeydef(%(oid)s::oid), '') AS partitioned_by;

-- columns: every column of the given tables, in order, whether a hash of it proves identity (an array's knows no bounds), and its operators' schema
WITH own (oid, schema) AS (
  SELECT o.opcintype, n.nspname FROM pg_opclass o
    JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3
    JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_namespace n ON n.oid = p.oprnamespace
   WHERE o.opcdefault AND o.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree') AND p.oprnamespace <> 'pg_catalog'::regnamespace)
SELECT a.attrelid::bigint AS oid, a.attnum::int AS attnum, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type, t.typname AS type_name, t.typtype::text AS typtype,
       a.attnotnull AS not_null, a.attgenerated <> '' AS generated, a.attidentity::text AS identity,
       pg_get_expr(d.adbin, d.adrelid) AS default_expr,
       coalesce(domain.base_name, t.typname) AS base_name, coalesce(domain.base_type, format_type(a.atttypid, a.atttypmod)) AS base_type,
       coalesce(domain.domain_not_null, false) AS domain_not_null, domain.domain_default, coalesce(domain.domain_checks, '{}') AS domain_checks,
       NOT (coalesce(coll.collisdeterministic, true) AND (
            t.typtype = 'e' OR t.oid = ANY ('{bool,int2,int4,int8,oid,text,varchar,uuid,timestamp,timestamptz,date,time,bytea,name}'::regtype[])
            OR (t.oid = 'bpchar'::regtype AND a.atttypmod >= 0)))
         AS hash_as_text,
       -- A cast to text is not always what the type's output writes: that of char takes blanks away, and a type may have one of its own.
       (coalesce(domain.base_oid, t.oid) = 'bpchar'::regtype AND coalesce(domain.base_modifier, a.atttypmod) < 0)
         OR EXISTS (SELECT FROM pg_cast k WHERE k.castsource = coalesce(domain.base_oid, t.oid) AND k.casttarget = 'text'::regtype
                       AND k.castmethod = 'f' AND k.castsource >= 16384) AS hash_by_output,
       NOT coalesce(coll.collisdeterministic, true) AS nondeterministic,
       coalesce(own.schema, 'pg_catalog') AS operators
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation coll ON coll.oid = a.attcollation
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN LATERAL (
    -- A domain may be made of another one. Other columns skip this: it is most of this query's time.
    WITH RECURSIVE made_of (oid, modifier, n) AS (
      SELECT t.oid, a.atttypmod, 0
      UNION ALL
      SELECT m.typbasetype, m.typtypmod, o.n + 1 FROM made_of o JOIN pg_type m ON m.oid = o.oid WHERE m.typtype = 'd')
    SELECT (SELECT b.typname FROM made_of o JOIN pg_type b USING (oid) ORDER BY o.n DESC LIMIT 1) AS base_name,
           (SELECT o.oid FROM made_of o ORDER BY o.n DESC LIMIT 1) AS base_oid,
           (SELECT o.modifier FROM made_of o ORDER BY o.n DESC LIMIT 1) AS base_modifier,
           (SELECT format_type(o.oid, o.modifier) FROM made_of o ORDER BY o.n DESC LIMIT 1) AS base_type,
           EXISTS (SELECT FROM made_of JOIN pg_type m USING (oid) WHERE m.typtype = 'd' AND m.typnotnull) AS domain_not_null,
           (SELECT pg_get_expr(m.typdefaultbin, 0) FROM made_of o JOIN pg_type m USING (oid) WHERE m.typtype = 'd' AND m.typdefaultbin IS NOT NULL
             ORDER BY o.n LIMIT 1) AS domain_default,
           ARRAY(SELECT k.conname || ' ' || pg_get_constraintdef(k.oid) FROM made_of o JOIN pg_constraint k ON k.contypid = o.oid
                  WHERE k.contype = 'c' ORDER BY k.conname) AS domain_checks
     WHERE t.typtype = 'd') AS domain ON true
  LEFT JOIN own ON own.oid = coalesce(domain.base_oid, t.oid)
 WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum;

-- keys: unique indexes over NOT NULL columns, the primary key first, and whether they compare as their columns' types do by themselves
WITH btree (oid, type, is_default, equals, ordered, joins) AS (
  SELECT o.oid, o.opcintype, o.opcdefault, max(m.amopopr) FILTER (WHERE m.amopstrategy = 3),
         -- The names by which rows of such keys are compared.
         array_agg(p.oprname::text ORDER BY m.amopstrategy) = '{<,<=,=,>=,>}' AND count(DISTINCT p.oprnamespace) = 1,
         bool_or((p.oprcanhash OR p.oprcanmerge) AND m.amopstrategy = 3)
    FROM pg_opclass o JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype
    JOIN pg_operator p ON p.oid = m.amopopr
   WHERE o.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree') GROUP BY o.oid),
part (indexrelid, usable) AS (
  -- The type's own equality is that of its default class, or of what it is made of; a temporal key's is in its constraint.
  SELECT i.indexrelid, bool_and(coalesce(
           own.ordered AND own.joins AND (
             CASE WHEN ours.oid IS NOT NULL THEN ours.equals = own.equals
                  WHEN con.conexclop IS NULL THEN false
                  WHEN k.n = i.indnkeyatts THEN true
                  ELSE con.conexclop[k.n] = own.equals END)
           AND (i.indcollation[k.n - 1] = a.attcollation
                OR NOT EXISTS (SELECT FROM pg_collation c WHERE c.oid IN (i.indcollation[k.n - 1], a.attcollation) AND NOT c.collisdeterministic)), false))
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    JOIN pg_opclass class ON class.oid = i.indclass[k.n - 1]
    LEFT JOIN btree ours ON ours.oid = class.oid
    LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.contype IN ('p', 'u')
    CROSS JOIN LATERAL (
      WITH RECURSIVE made_of (oid, n) AS (
        SELECT a.atttypid, 0
        UNION ALL
        SELECT m.typbasetype, o.n + 1 FROM made_of o JOIN pg_type m ON m.oid = o.oid WHERE m.typtype = 'd')
      SELECT oid FROM made_of ORDER BY n DESC LIMIT 1) AS base
    LEFT JOIN LATERAL (
      SELECT b.* FROM btree b WHERE b.is_default AND b.type IN (base.oid, class.opcintype) ORDER BY b.type = base.oid DESC LIMIT 1) AS own ON true
   WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisunique
   GROUP BY i.indexrelid)
SELECT i.indrelid::bigint AS oid, ic.relname AS name, i.indisprimary AS is_primary, part.usable,
       (SELECT array_agg(a.attname::text ORDER BY k.n)
          FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) AS columns
  FROM pg_index i
  JOIN pg_class ic ON ic.oid = i.indexrelid
  JOIN part USING (indexrelid)
 WHERE i.indrelid = ANY (%(oids)s::oid[])
   AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
   AND NOT EXISTS (SELECT FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k(attnum)
                     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                    WHERE NOT a.attnotnull
                       OR EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = i.indrelid AND n.contype = 'n'
                                     AND NOT n.convalidated AND n.conkey = ARRAY[k.attnum]))
 ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, ic.relname;

-- foreign_keys: every foreign key of the database that is not the copy of another on a partition; the oids are those of the whole tables
SELECT con.oid::bigint AS oid, con.conname AS name, coalesce(pg_partition_root(con.conrelid), con.conrelid)::oid::bigint AS table_oid,
       coalesce(pg_partition_root(con.confrelid), con.confrelid)::oid::bigint AS ref_oid,
       n.nspname AS schema, c.relname AS table_name, rn.nspname AS ref_schema, rc.relname AS ref_table,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(con.conkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(con.confkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum) AS ref_columns,
       -- As PostgreSQL itself compares them: each side as the operator's own type, both in the collation of the column that is referred to.
       (SELECT array_agg(ARRAY[
                 CASE WHEN lt.typtype <> 'p' AND lt.oid <> ra.atttypid THEN format('::%%s', format_type(lt.oid, -1)) ELSE '' END,
                 format('OPERATOR(%%I.%%s)', opn.nspname, op.oprname),
                 CASE WHEN rt.typtype <> 'p' AND rt.oid <> ca.atttypid THEN format('::%%s', format_type(rt.oid, -1)) ELSE '' END
                 || CASE WHEN ra.attcollation <> 0 AND ca.attcollation <> 0 AND ra.attcollation <> ca.attcollation
                         THEN (SELECT format(' COLLATE %%I.%%I', cn.nspname, co.collname) FROM pg_collation co
                                 JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = ra.attcollation) ELSE '' END] ORDER BY k.n)
          FROM unnest(con.conkey, con.confkey, con.conpfeqop) WITH ORDINALITY AS k(attnum, ref_attnum, operator, n)
          JOIN pg_attribute ca ON ca.attrelid = con.conrelid AND ca.attnum = k.attnum
          JOIN pg_attribute ra ON ra.attrelid = con.confrelid AND ra.attnum = k.ref_attnum
          JOIN pg_operator op ON op.oid = k.operator JOIN pg_namespace opn ON opn.oid = op.oprnamespace
          JOIN pg_type lt ON lt.oid = op.oprleft JOIN pg_type rt ON rt.oid = op.oprright) AS equality,
       -- The column is there from version 18 on.
       coalesce((to_jsonb(con) ->> 'conperiod')::boolean, false) AS period,
       pg_get_constraintdef(con.oid) AS definition, con.convalidated AS validated, c.relkind = 'p' AS partitioned,
       rc.relkind = 'p' AS ref_partitioned, con.confmatchtype = 'f' AS "full", obj_description(con.oid, 'pg_constraint') AS comment
  FROM pg_constraint con
  JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class rc ON rc.oid = con.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
 WHERE con.contype = 'f' AND con.conparentid = 0
   AND (%(oids)s::oid[] IS NULL OR coalesce(pg_partition_root(con.conrelid), con.conrelid) = ANY (%(oids)s::oid[])
        OR coalesce(pg_partition_root(con.confrelid), con.confrelid) = ANY (%(oids)s::oid[]))
 ORDER BY n.nspname, c.relname, con.conname;

-- correlation: how far the physical order follows the key's first column, where statistics know it
SELECT s.correlation::float8 AS correlation
  FROM pg_stats s
 WHERE s.schemaname = %(schema)s AND s.tablename = %(table)s AND s.attname = %(column)s AND NOT s.inherited;

-- shape: a fingerprint of everything that defines a table, but for what Replank itself adds
SELECT md5(concat_ws(E'\n',
  (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attislocal, a.attnotnull, a.attidentity,
                               a.attgenerated, a.attcollation, pg_get_expr(d.adbin, d.adrelid), a.attacl, 'target ' || a.attstattarget,
                               a.attoptions, a.attstorage, a.attcompression, col_description(a.attrelid, a.attnum)), ';' ORDER BY a.attnum)
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT string_agg(conname || pg_get_constraintdef(oid) || convalidated || conislocal || coalesce(obj_description(oid, 'pg_constraint'), ''), ';' ORDER BY conname, oid)
     FROM pg_constraint WHERE conrelid = %(oid)s::oid OR confrelid = %(oid)s::oid),
  (SELECT string_agg(concat_ws(' ', pg_get_indexdef(indexrelid), indisreplident, obj_description(indexrelid, 'pg_class')), ';' ORDER BY indexrelid)
     FROM pg_index WHERE indrelid = %(oid)s::oid AND indisvalid),
  (SELECT string_agg(concat_ws(' ', pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')), ';' ORDER BY tgname)
     FROM pg_trigger WHERE tgrelid = %(oid)s::oid AND NOT tgisinternal AND tgname NOT LIKE 'replank\_capture\_%%'),
  (SELECT string_agg(inhrelid::regclass::text, ';' ORDER BY inhrelid) FROM pg_inherits WHERE inhparent = %(oid)s::oid),
  pg_get_partkeydef(%(oid)s::oid), (SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %(oid)s::oid),
  -- The cutover itself switches autovacuum off and on again.
  (SELECT concat_ws(' ', c.relowner, c.relacl, c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.relam, c.reltablespace,
                    ARRAY(SELECT o FROM unnest(c.reloptions) AS o WHERE o NOT LIKE 'autovacuum\_enabled=%%' ORDER BY o),
                    (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid), obj_description(c.oid, 'pg_class'))
     FROM pg_class c WHERE c.oid = %(oid)s::oid)
)) AS shape;

-- not_carried: objects that hang on a table or view and cannot be carried over; where `of` is given, only unless that relation is replaced too
SELECT DISTINCT what, object, "of"::bigint AS "of" FROM (
  SELECT CASE WHEN r.oid IS NOT NULL THEN 'rule' WHEN p.oid IS NOT NULL THEN 'row security policy' ELSE 'dependent object' END AS what,
         pg_describe_object(d.classid, d.objid, d.objsubid) AS object, coalesce(r.ev_class, p.polrelid) AS "of"
    FROM pg_depend d
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s::oid AND d.deptype IN ('n', 'a')
     AND d.classid NOT IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_statistic_ext'::regclass,
                           'pg_publication_rel'::regclass, 'pg_proc'::regclass)
     AND coalesce(r.ev_class, p.polrelid, 0) <> %(oid)s::oid AND coalesce(r.ev_type, '0') <> '1'
     AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (
           SELECT FROM pg_class k WHERE k.oid = d.objid AND (k.relkind IN ('i', 'I', 'S', 't') OR k.oid = %(oid)s::oid)))
     AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (
           SELECT FROM pg_inherits h WHERE h.inhrelid = d.objid AND h.inhparent = %(oid)s::oid))
  UNION ALL
  SELECT 'use of the row type', pg_describe_object(d.classid, d.objid, d.objsubid), NULL
    FROM pg_depend d JOIN pg_class c ON c.oid = %(oid)s::oid
    JOIN pg_type t ON t.oid = c.reltype
   WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n'
     AND d.classid NOT IN ('pg_proc'::regclass, 'pg_rewrite'::regclass)
     AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class k WHERE k.oid = d.objid AND k.relkind IN ('v', 'm')))
  UNION ALL
  SELECT 'row security', 'policies hide rows of ' || c.oid::regclass || ' from role ' || current_user || ': the next table would not have them', NULL
    FROM pg_class c WHERE c.oid = %(oid)s::oid AND c.relrowsecurity AND row_security_active(c.oid)
  UNION ALL
  SELECT 'foreign table', 'its rows are on another server', NULL FROM pg_class WHERE oid = %(oid)s::oid AND relkind = 'f'
  UNION ALL
  SELECT 'typed table', 'it is a table of type ' || reloftype::regtype::text, NULL FROM pg_class WHERE oid = %(oid)s::oid AND reloftype <> 0
  UNION ALL
  SELECT 'subscription', 'logical replication writes into it', NULL FROM pg_subscription_rel WHERE srrelid = %(oid)s::oid
  UNION ALL
  -- A publication of the table's schema needs nothing: the next table lies elsewhere until it takes the live one's place.
  SELECT 'publication', 'publication ' || pubname || ' publishes all tables: subscribers would be sent the next table while it is filled', NULL
    FROM pg_publication, pg_class c WHERE puballtables AND c.oid = %(oid)s::oid AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT 'security label', provider || ' label', NULL FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = %(oid)s::oid
  UNION ALL
  SELECT 'temporary or unlogged table', 'its contents do not survive a crash', NULL FROM pg_class
   WHERE oid = %(oid)s::oid AND relpersistence <> 'p' AND relkind IN ('r', 'p')
  UNION ALL
  SELECT 'temporary view', 'it belongs to a session', NULL FROM pg_class WHERE oid = %(oid)s::oid AND relpersistence <> 'p' AND relkind NOT IN ('r', 'p')
  UNION ALL
  SELECT 'part of an extension', 'extension ' || e.extname, NULL
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.classid = 'pg_class'::regclass AND d.objid = %(oid)s::oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
) AS found
ORDER BY what, object;

-- existing_relation: whether a name is taken in a schema
SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) IS NOT NULL AS taken;

-- invalid_indexes: leftovers of failed CREATE INDEX CONCURRENTLY
SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = %(oid)s::oid AND NOT indisvalid;

-- filenode: the table's file, or a fingerprint of its partitions' files; blocks of the longest of them, and of all together with their TOAST
WITH RECURSIVE tree (oid, relkind) AS (
  SELECT c.oid, c.relkind FROM pg_class c WHERE c.oid = %(oid)s::oid
  UNION ALL
  SELECT c.oid, c.relkind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid WHERE t.relkind = 'p'),
heap AS (
  SELECT t.oid, pg_relation_filenode(t.oid) AS filenode, pg_relation_size(t.oid) / current_setting('block_size')::int AS blocks,
         CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_size(c.reltoastrelid) / current_setting('block_size')::int ELSE 0 END AS toast_blocks
    FROM tree t JOIN pg_class c USING (oid) WHERE t.relkind <> 'p')
SELECT coalesce((SELECT CASE count(*) WHEN 1 THEN min(filenode)::bigint
                             ELSE hashtextextended(string_agg(filenode::text, ',' ORDER BY oid), 0) END FROM heap), 0) AS filenode,
       CASE WHEN EXISTS (SELECT FROM tree) THEN coalesce((SELECT max(blocks) FROM heap), 0) END AS heap_blocks,
       coalesce((SELECT sum(blocks + toast_blocks) FROM heap), 0)::bigint AS all_blocks;
