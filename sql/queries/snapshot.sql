-- objects: what the catalogue says of relations and all that hangs on them, by name, so that nothing depends on an oid
WITH subject AS (
  SELECT c.*, format('%%I.%%I', n.nspname, c.relname) AS called
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm') AND (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[])))
SELECT called AS relation, what, name, definition FROM (
  SELECT s.called, 'table' AS what, '' AS name,
         concat_ws('; ', 'kind ' || s.relkind::text, 'owner ' || s.relowner::regrole::text, 'persistence ' || s.relpersistence::text, 'access ' || (SELECT amname FROM pg_am WHERE oid = s.relam),
           'tablespace ' || (SELECT spcname FROM pg_tablespace WHERE oid = s.reltablespace), 'options ' || array_to_string(ARRAY(SELECT unnest(s.reloptions) ORDER BY 1), ','),
           'toast options ' || (SELECT array_to_string(t.reloptions, ',') FROM pg_class t WHERE t.oid = s.reltoastrelid), 'replica identity ' || s.relreplident::text,
           CASE WHEN s.relrowsecurity THEN 'row security' END, CASE WHEN s.relforcerowsecurity THEN 'forced row security' END,
           'partitioned by ' || CASE WHEN s.relkind = 'p' THEN pg_get_partkeydef(s.oid) END,
           CASE WHEN NOT s.relispartition THEN 'inherits ' || (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = s.oid) END, 'bound ' || pg_get_expr(s.relpartbound, s.oid),
           'comment ' || obj_description(s.oid, 'pg_class'), CASE WHEN s.relkind IN ('v', 'm') THEN pg_get_viewdef(s.oid) END) AS definition
    FROM subject s
  UNION ALL
  SELECT s.called, 'privileges', '', (SELECT string_agg(coalesce(g.rolname, 'PUBLIC') || ' ' || a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                                            || CASE WHEN a.grantor <> s.relowner THEN ' by ' || a.grantor::regrole::text ELSE '' END, ', '
                                            ORDER BY g.rolname NULLS FIRST, a.privilege_type, a.grantor::regrole::text)
                                        FROM aclexplode(coalesce(s.relacl, acldefault('r', s.relowner))) a LEFT JOIN pg_roles g ON g.oid = a.grantee)
    FROM subject s
  UNION ALL
  SELECT s.called, 'column', a.attname,
         concat_ws('; ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
           CASE WHEN a.attinhcount > 0 AND NOT s.relispartition THEN 'inherited ' || a.attinhcount || CASE WHEN a.attislocal THEN ' and its own' ELSE '' END END,
           CASE a.attgenerated WHEN '' THEN 'default ' ELSE 'generated ' || a.attgenerated::text || ' ' END || pg_get_expr(d.adbin, d.adrelid), 'identity ' || nullif(a.attidentity::text, ''),
           'collation ' || CASE WHEN a.attcollation <> 0 THEN a.attcollation::regcollation::text END, 'storage ' || a.attstorage::text, 'compression ' || nullif(a.attcompression::text, ''),
           'statistics ' || coalesce(a.attstattarget, -1), 'options ' || array_to_string(a.attoptions, ','), 'comment ' || col_description(s.oid, a.attnum),
           'privileges ' || (SELECT string_agg(coalesce(g.rolname, 'PUBLIC') || ' ' || x.privilege_type || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                                               || CASE WHEN x.grantor <> s.relowner THEN ' by ' || x.grantor::regrole::text ELSE '' END, ', '
                                               ORDER BY g.rolname NULLS FIRST, x.privilege_type, x.grantor::regrole::text)
                               FROM aclexplode(a.attacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee))
    FROM subject s JOIN pg_attribute a ON a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = s.oid AND d.adnum = a.attnum
  UNION ALL
  SELECT s.called, 'constraint', k.conname, concat_ws('; ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated AND pg_get_constraintdef(k.oid) NOT LIKE '%% NOT VALID' THEN 'not validated' END,
           CASE WHEN k.coninhcount > 0 AND NOT s.relispartition THEN 'inherited ' || k.coninhcount || CASE WHEN k.conislocal
             -- A NOT NULL of a primary key stays with the key, whether or not it is the table's own.
             AND NOT (k.contype = 'n' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = s.oid AND i.indisprimary AND k.conkey[1] = ANY (i.indkey::int2[]))) THEN ' and its own' ELSE '' END END,
           'comment ' || obj_description(k.oid, 'pg_constraint'))
    FROM subject s JOIN pg_constraint k ON k.conrelid = s.oid WHERE k.contype <> 't' AND NOT (k.contype = 'f' AND k.conparentid <> 0)
  UNION ALL
  SELECT s.called, 'index', x.relname, concat_ws('; ', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'invalid' END, CASE WHEN i.indisclustered THEN 'clustered' END,
           CASE WHEN i.indisreplident THEN 'replica identity' END, 'tablespace ' || (SELECT spcname FROM pg_tablespace WHERE oid = x.reltablespace),
           'part of ' || (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = x.oid), 'comment ' || obj_description(x.oid, 'pg_class'))
    FROM subject s JOIN pg_index i ON i.indrelid = s.oid JOIN pg_class x ON x.oid = i.indexrelid
  UNION ALL
  SELECT s.called, 'trigger', t.tgname, concat_ws('; ', pg_get_triggerdef(t.oid), 'enabled ' || t.tgenabled::text, 'comment ' || obj_description(t.oid, 'pg_trigger'))
    FROM subject s JOIN pg_trigger t ON t.tgrelid = s.oid WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'replank\_%%'
  UNION ALL
  SELECT s.called, 'rule', r.rulename, concat_ws('; ', pg_get_ruledef(r.oid), 'enabled ' || r.ev_enabled::text, 'comment ' || obj_description(r.oid, 'pg_rewrite')) FROM subject s JOIN pg_rewrite r ON r.ev_class = s.oid
   WHERE r.rulename <> '_RETURN'
  UNION ALL
  SELECT s.called, 'policy', p.polname, concat_ws('; ', p.polcmd::text, CASE WHEN NOT p.polpermissive THEN 'restrictive' END,
           'roles ' || (SELECT string_agg(coalesce(g.rolname, 'PUBLIC'), ',' ORDER BY g.rolname) FROM unnest(p.polroles) AS o (oid) LEFT JOIN pg_roles g ON g.oid = o.oid),
           'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid), 'comment ' || obj_description(p.oid, 'pg_policy'))
    FROM subject s JOIN pg_policy p ON p.polrelid = s.oid
  UNION ALL
  SELECT s.called, 'publication', p.pubname, concat_ws('; ', 'published', 'columns ' || (SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = s.oid AND a.attnum = ANY (r.prattrs::int2[])), 'where ' || pg_get_expr(r.prqual, s.oid))
    FROM subject s JOIN pg_publication_rel r ON r.prrelid = s.oid JOIN pg_publication p ON p.oid = r.prpubid
  UNION ALL
  SELECT s.called, 'statistics', e.stxname, concat_ws('; ', pg_get_statisticsobjdef(e.oid), 'target ' || coalesce(to_jsonb(e) ->> 'stxstattarget', '-1'), 'owner ' || e.stxowner::regrole::text, 'comment ' || obj_description(e.oid, 'pg_statistic_ext'))
    FROM subject s JOIN pg_statistic_ext e ON e.stxrelid = s.oid
  UNION ALL
  SELECT s.called, 'sequence', q.relname, concat_ws('; ', 'of ' || a.attname, format_type(o.seqtypid, NULL), 'start ' || o.seqstart, 'by ' || o.seqincrement,
           'between ' || o.seqmin || ' and ' || o.seqmax, CASE WHEN o.seqcycle THEN 'cycle' END, 'cache ' || o.seqcache, 'owner ' || q.relowner::regrole::text,
           'privileges ' || (SELECT string_agg(coalesce(g.rolname, 'PUBLIC') || ' ' || x.privilege_type || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', ' ORDER BY g.rolname NULLS FIRST, x.privilege_type)
                               FROM aclexplode(coalesce(q.relacl, acldefault('s', q.relowner))) x LEFT JOIN pg_roles g ON g.oid = x.grantee),
           'comment ' || obj_description(q.oid, 'pg_class'))
    FROM subject s JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' JOIN pg_sequence o ON o.seqrelid = q.oid
    JOIN pg_attribute a ON a.attrelid = s.oid AND a.attnum = d.refobjsubid
) AS found
ORDER BY called, what, name;

-- dependent_views: views over the relations of these names, at any depth
WITH RECURSIVE given AS (
  SELECT c.oid FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS g (schema, name)
    JOIN pg_namespace n ON n.nspname = g.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = g.name),
over (oid) AS (
  SELECT DISTINCT r.ev_class FROM given g JOIN pg_depend d ON d.refobjid = g.oid
    JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
   WHERE d.refclassid = 'pg_class'::regclass AND r.ev_class NOT IN (SELECT oid FROM given)
  UNION
  SELECT r.ev_class FROM over o JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> o.oid)
SELECT n.nspname AS schema, c.relname AS name FROM over JOIN pg_class c ON c.oid = over.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm');
