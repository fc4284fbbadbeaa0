-- any: whether there is a function in this database whose owner is no superuser and not this login
SELECT EXISTS (SELECT FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner WHERE NOT o.rolsuper AND o.rolname <> session_user);

-- functions: by table, functions of other roles that reading it (or, for `written`, writing it) would run with rights their owners lack
WITH RECURSIVE me AS (
  -- The login, not the role that it has become: code that we run could say RESET ROLE.
  SELECT oid, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = session_user),
foreign_owner AS (
  SELECT o.oid FROM pg_roles o, me
   WHERE NOT o.rolsuper AND o.oid <> me.oid AND NOT pg_has_role(o.oid, me.oid, 'MEMBER')
     AND (me.rolsuper OR (me.rolcreaterole AND NOT o.rolcreaterole) OR (me.rolcreatedb AND NOT o.rolcreatedb)
       OR (me.rolreplication AND NOT o.rolreplication) OR (me.rolbypassrls AND NOT o.rolbypassrls)
       OR EXISTS (SELECT FROM pg_roles r
                   WHERE r.oid <> me.oid AND pg_has_role(me.oid, r.oid, 'MEMBER') AND NOT pg_has_role(o.oid, r.oid, 'MEMBER')
                     AND r.rolname NOT IN ('pg_monitor', 'pg_read_all_stats', 'pg_read_all_settings', 'pg_stat_scan_tables')))),
suspect AS MATERIALIZED (SELECT p.oid, p.proowner FROM pg_proc p WHERE p.proowner IN (SELECT oid FROM foreign_owner)),
reached AS (
  SELECT w.oid AS root, 'pg_class'::regclass AS class, w.oid AS object
    FROM unnest(%(read)s::oid[] || %(written)s::oid[]) AS w (oid) WHERE EXISTS (SELECT FROM suspect)
  UNION
  SELECT t.tgrelid, 'pg_proc'::regclass, t.tgfoid FROM pg_trigger t
   WHERE t.tgrelid = ANY (%(written)s::oid[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND EXISTS (SELECT FROM suspect)
  UNION
  SELECT r.root, next.class, next.object FROM reached r CROSS JOIN LATERAL (
    -- what it is made of and what it uses; a foreign key does not lead to the other table
    SELECT d.refclassid::regclass, d.refobjid FROM pg_depend d
     WHERE d.classid = r.class AND d.objid = r.object AND d.deptype IN ('n', 'a', 'i')
       AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass)
       AND NOT (r.class = 'pg_constraint'::regclass AND d.refclassid = 'pg_class'::regclass)
    UNION ALL
    SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE r.class = 'pg_class'::regclass AND adrelid = r.object
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE r.class = 'pg_class'::regclass AND conrelid = r.object
    UNION ALL
    SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE r.class = 'pg_class'::regclass AND indrelid = r.object
    UNION ALL
    SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE r.class = 'pg_class'::regclass AND ev_class = r.object
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE r.class = 'pg_class'::regclass AND stxrelid = r.object
    UNION ALL
    SELECT 'pg_class'::regclass, inhrelid FROM pg_inherits WHERE r.class = 'pg_class'::regclass AND inhparent = r.object
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE r.class = 'pg_type'::regclass AND contypid = r.object
    UNION ALL
    SELECT 'pg_proc'::regclass, castfunc FROM pg_cast WHERE r.class = 'pg_type'::regclass AND r.object IN (castsource, casttarget) AND castfunc <> 0
    UNION ALL
    SELECT 'pg_opclass'::regclass, oid FROM pg_opclass WHERE r.class = 'pg_type'::regclass AND opcintype = r.object
    UNION ALL
    SELECT 'pg_opfamily'::regclass, opcfamily FROM pg_opclass WHERE r.class = 'pg_opclass'::regclass AND oid = r.object
    UNION ALL
    SELECT 'pg_proc'::regclass, amproc FROM pg_amproc WHERE r.class = 'pg_opfamily'::regclass AND amprocfamily = r.object
    UNION ALL
    SELECT 'pg_operator'::regclass, amopopr FROM pg_amop WHERE r.class = 'pg_opfamily'::regclass AND amopfamily = r.object
  ) AS next (class, object))
SELECT r.root::bigint AS oid, r.object::regprocedure::text AS function, pg_get_userbyid(s.proowner)::text AS owner
  FROM reached r JOIN suspect s ON s.oid = r.object WHERE r.class = 'pg_proc'::regclass
UNION
SELECT 0, e.evtfoid::regprocedure::text, pg_get_userbyid(s.proowner)::text FROM pg_event_trigger e JOIN suspect s ON s.oid = e.evtfoid
 WHERE %(ddl)s AND e.evtenabled <> 'D' AND coalesce(current_setting('event_triggers', true), 'on') = 'on'
 ORDER BY 1, 2;
