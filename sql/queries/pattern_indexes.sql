-- read: every valid index of some relations, and what each would be with the columns' own operator classes instead of those for text patterns
SELECT i.indrelid::bigint AS relation, ic.relname AS name, am.amname AS method, parent.name AS parent, parent.relation AS parent_relation,
       i.indisunique OR i.indisclustered OR i.indisreplident OR i.indexprs IS NOT NULL OR i.indnatts > i.indnkeyatts
         OR EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid AND contype IN ('p', 'u', 'x')) AS stays,
       k.columns, k.keys, pg_get_expr(i.indpred, i.indrelid) AS predicate,
       coalesce(pg_stat_get_numscans(i.indexrelid), 0) AS scans,
       format('CREATE %%sINDEX %%I ON %%s%%s', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, ic.relname,
              CASE ic.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, i.indrelid::regclass) AS head,
       format(' USING %%I (%%s)%%s%%s%%s%%s', am.amname, k.definition,
              ' INCLUDE (' || (SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n)
                                 FROM generate_series(i.indnkeyatts + 1, i.indnatts) AS n) || ')',
              CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END,
              (SELECT format(' WITH (%%s)', string_agg(format('%%I = %%L', option_name, option_value), ', '))
                 FROM pg_options_to_table(ic.reloptions) HAVING count(*) > 0),
              ' WHERE ' || pg_get_expr(i.indpred, i.indrelid, true)) AS tail
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
  LEFT JOIN LATERAL (
    SELECT pc.relname AS name, pi.indrelid::bigint AS relation
      FROM pg_inherits h JOIN pg_index pi ON pi.indexrelid = h.inhparent JOIN pg_class pc ON pc.oid = pi.indexrelid
     WHERE h.inhrelid = i.indexrelid) AS parent ON true
  CROSS JOIN LATERAL (
    SELECT string_agg(key.said || CASE WHEN key.patterned THEN '' ELSE key.collated || key.class END || key.ordering, ', ' ORDER BY key.n) AS definition,
           -- Two keys that say the same serve the same questions once these columns have no text patterns.
           array_agg(key.said || CASE WHEN key.planned THEN '' ELSE key.collated || key.class END || key.ordering ORDER BY key.n) AS keys,
           array_agg(key.name ORDER BY key.n) FILTER (WHERE key.patterned) AS columns
      FROM (
        SELECT c.n, a.attname::text AS name, pg_get_indexdef(i.indexrelid, c.n::int, true) AS said,
               coalesce(a.attname = ANY (%(columns)s::text[]), false) AS planned,
               coalesce(a.attname = ANY (%(columns)s::text[]), false) AND s.nspname = 'pg_catalog'
                 AND o.opcname IN ('text_pattern_ops', 'varchar_pattern_ops', 'bpchar_pattern_ops') AS patterned,
               CASE WHEN c.coll <> 0 AND c.coll IS DISTINCT FROM a.attcollation
                    THEN (SELECT format(' COLLATE %%I.%%I', ln.nspname, l.collname) FROM pg_collation l
                            JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE l.oid = c.coll) ELSE '' END AS collated,
               CASE WHEN o.opcdefault THEN '' ELSE format(' %%I.%%I', s.nspname, o.opcname) END AS class,
               CASE c.option WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END AS ordering
          FROM unnest(i.indclass::oid[], i.indcollation::oid[], i.indoption::int2[]) WITH ORDINALITY AS c (class, coll, option, n)
          JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS number (attnum, n) ON number.n = c.n
          JOIN pg_opclass o ON o.oid = c.class JOIN pg_namespace s ON s.oid = o.opcnamespace
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = number.attnum AND number.attnum > 0) AS key) AS k
 WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisvalid
 ORDER BY i.indrelid, ic.relname;
