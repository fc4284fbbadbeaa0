-- tables: tables that this transaction has locked, and whose file is not the one that its snapshot knows, or that its snapshot does not know
SELECT l.relation::regclass::text AS name
  FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation
 WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   -- pg_class is read at the snapshot; the functions ask the catalogue as it is now. Of the unknown, only tables can be updated.
   AND CASE WHEN c.oid IS NULL THEN pg_relation_is_updatable(l.relation, false) > 0
            ELSE c.relkind IN ('r', 'm') AND c.relfilenode <> pg_relation_filenode(c.oid) END
 GROUP BY l.relation ORDER BY 1;
