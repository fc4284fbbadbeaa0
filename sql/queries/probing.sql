-- columns: what there is to know of a table's columns to make a row of it; `parent` is where a foreign key of that column alone leads
SELECT a.attname AS name, b.typname AS type, b.typcategory::text AS category, format_type(a.atttypid, a.atttypmod) AS full_type,
       CASE WHEN b.typname IN ('varchar', 'bpchar') AND m.typmod > 4 THEN m.typmod - 4 END AS length,
       a.attnotnull AS not_null, a.atthasdef OR a.attidentity <> '' AS has_default, a.attgenerated <> '' AS generated, a.attidentity = 'a' AS always,
       (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder LIMIT 1) AS label,
       EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND a.attnum = ANY (f.conkey)) AS refers,
       (SELECT ARRAY[n.nspname, c.relname, r.attname]::text[] FROM pg_constraint f JOIN pg_class c ON c.oid = f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute r ON r.attrelid = f.confrelid AND r.attnum = f.confkey[1]
         WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum] AND f.conparentid = 0 ORDER BY f.oid LIMIT 1) AS parent
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS base, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod) AS m
  JOIN pg_type b ON b.oid = m.base
 WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;

-- uniques: the columns of everything that keeps rows apart, exclusion constraints and expressions too
SELECT ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum > 0
               AND (a.attnum = ANY (i.indkey::int2[]) OR a.attnum IN (
                 SELECT d.refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid))
              ORDER BY a.attnum)::text[] AS columns
  FROM pg_index i WHERE i.indrelid = %(oid)s::oid AND (i.indisunique OR i.indisexclusion) ORDER BY i.indexrelid;

-- referenced: whether foreign keys lead to a table
SELECT EXISTS (SELECT FROM pg_constraint f WHERE f.confrelid = %(oid)s::oid AND f.contype = 'f') AS yes;
