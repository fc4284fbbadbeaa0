-- ordered: what goes by the order of a column's values: btree indexes, and the partition key
SELECT 'index' AS kind, ic.relname AS name
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = %(column)s AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
 WHERE i.indrelid = %(oid)s::oid
UNION ALL
SELECT 'partition_key', p.partrelid::regclass::text
  FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attname = %(column)s AND a.attnum = ANY (p.partattrs::int2[])
 WHERE p.partrelid = %(oid)s::oid
 ORDER BY 1, 2;

-- expressions: what depends on a column and holds an expression, with its definition; lists that CHECKs hold are told apart elsewhere
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS what,
       CASE d.classid
         WHEN 'pg_class'::regclass THEN CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(d.objid, 0, true) END
         WHEN 'pg_rewrite'::regclass THEN pg_get_ruledef(d.objid)
         WHEN 'pg_trigger'::regclass THEN pg_get_triggerdef(d.objid)
         WHEN 'pg_policy'::regclass THEN (SELECT concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy p WHERE p.oid = d.objid)
         WHEN 'pg_attrdef'::regclass THEN (SELECT pg_get_expr(e.adbin, e.adrelid) FROM pg_attrdef e WHERE e.oid = d.objid AND e.adnum <> a.attnum)
         WHEN 'pg_statistic_ext'::regclass THEN pg_get_statisticsobjdef(d.objid)
         WHEN 'pg_proc'::regclass THEN (SELECT pg_get_function_sqlbody(d.objid))
       END AS definition
  FROM pg_attribute a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
  LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
 WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attname = %(column)s AND d.classid <> 'pg_constraint'::regclass;

-- labels: the values of a type as it is spelled; none if there is no such type
SELECT enumlabel::text AS label FROM pg_enum WHERE enumtypid = to_regtype(%(spelled)s);
