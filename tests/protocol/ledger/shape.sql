SELECT 'table ' || c.relname, c.relkind::text || coalesce(array_to_string(c.reloptions, ','), '') || coalesce(obj_description(c.oid), '')
  FROM pg_class c WHERE c.relnamespace = 'replank'::regnamespace AND c.relkind IN ('r', 'v')
UNION ALL
SELECT 'column ' || t.relname || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid),
                 col_description(t.oid, a.attnum))
  FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 WHERE t.relnamespace = 'replank'::regnamespace AND t.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint ' || t.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid WHERE t.relnamespace = 'replank'::regnamespace AND k.contype <> 'n'
UNION ALL
SELECT 'index ' || c.relname, pg_get_indexdef(c.oid) FROM pg_class c WHERE c.relnamespace = 'replank'::regnamespace AND c.relkind = 'i'
UNION ALL
SELECT 'view ' || c.relname, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relnamespace = 'replank'::regnamespace AND c.relkind = 'v'
UNION ALL
SELECT 'function ' || p.proname, pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'replank'::regnamespace
