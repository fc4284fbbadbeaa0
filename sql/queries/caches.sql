-- set_cache_swapped: the swap's own word, in its own transaction; none if a rollback was asked for meanwhile
WITH still_running AS (
  SELECT run_id FROM replank.run WHERE run_id = %(run_id)s AND state = 'running' FOR SHARE)
UPDATE replank.cache c SET state = %(state)s, waits_for = NULL, waits_subject = '', problem = '', attempts = 0
  FROM still_running r
 WHERE c.run_id = r.run_id AND c.cache_no = %(cache_no)s AND c.state = ANY (%(sources)s) RETURNING c.cache_no;

-- plan_step: a phase and its step that begin later
WITH phase AS (
  INSERT INTO replank.phase (run_id, phase, name) VALUES (%(run_id)s, %(phase)s, %(name)s) ON CONFLICT DO NOTHING)
INSERT INTO replank.step (run_id, step, phase, measured) VALUES (%(run_id)s, %(step)s, %(phase)s, %(measured)s);

-- start_step: the barrier before it has opened; no row where it had before
WITH started AS (
  UPDATE replank.step SET started_at = clock_timestamp()
   WHERE run_id = %(run_id)s AND step = %(step)s AND started_at IS NULL RETURNING run_id, phase)
UPDATE replank.phase p SET started_at = coalesce(p.started_at, clock_timestamp()) FROM started s WHERE p.run_id = s.run_id AND p.phase = s.phase
RETURNING p.phase;

-- add_cache_jobs: one row per job, from a JSON array of details
INSERT INTO replank.job (run_id, step, cache_no, kind, generation, detail)
SELECT %(run_id)s, %(step)s, %(cache_no)s, 'cache', %(generation)s, d FROM jsonb_array_elements(%(details)s) AS d;

-- relation: a relation by name, with what decides whether it may be rebuilt
SELECT c.oid::bigint AS oid, c.relkind::text AS relkind, c.relispopulated AS populated,
       pg_has_role(current_user, c.relowner, 'USAGE') AS owned,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                  AND i.indpred IS NULL AND i.indexprs IS NULL) AS has_unique_index
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(name)s;

-- prewarm_extension: where pg_prewarm lies; no row where it is not installed
SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_prewarm';

-- files: a relation, the partitions below it, its indexes and its TOAST table: all that has blocks of its own
WITH RECURSIVE tree (oid) AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(name)s
  UNION ALL SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid),
heaps AS (SELECT oid FROM tree UNION SELECT c.reltoastrelid FROM tree t JOIN pg_class c ON c.oid = t.oid WHERE c.reltoastrelid <> 0),
files AS (SELECT oid FROM heaps UNION SELECT i.indexrelid FROM heaps h JOIN pg_index i ON i.indrelid = h.oid)
SELECT f.oid::bigint AS oid FROM files f JOIN pg_class c ON c.oid = f.oid WHERE c.relkind IN ('r', 'm', 'i', 't') ORDER BY f.oid;

-- blocks: blocks of relations, partitions and indexes included, found in memory and read
WITH RECURSIVE named AS (
  SELECT c.oid FROM jsonb_array_elements(%(names)s) AS j JOIN pg_namespace n ON n.nspname = j ->> 0
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = j ->> 1),
tree (oid) AS (SELECT oid FROM named UNION SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
SELECT coalesce(sum(coalesce(heap_blks_hit, 0) + coalesce(idx_blks_hit, 0) + coalesce(toast_blks_hit, 0) + coalesce(tidx_blks_hit, 0)), 0)::bigint AS hits,
       coalesce(sum(coalesce(heap_blks_read, 0) + coalesce(idx_blks_read, 0) + coalesce(toast_blks_read, 0) + coalesce(tidx_blks_read, 0)), 0)::bigint AS misses
  FROM tree t JOIN pg_statio_all_tables s ON s.relid = t.oid;

-- type_of: a type as it is written; without -1 the bare name of char(n) would mean char(1)
SELECT format_type(%(oid)s::oid, -1) AS type;

-- operators_of: the schema of a type's own comparison operators
WITH RECURSIVE made_of (oid, n) AS (
  SELECT %(oid)s::oid, 0
  UNION ALL
  SELECT m.typbasetype, o.n + 1 FROM made_of o JOIN pg_type m ON m.oid = o.oid WHERE m.typtype = 'd')
SELECT coalesce((
  SELECT n.nspname FROM pg_opclass o
    JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3
    JOIN pg_operator p ON p.oid = m.amopopr JOIN pg_namespace n ON n.oid = p.oprnamespace
   WHERE o.opcdefault AND o.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
     AND o.opcintype = (SELECT oid FROM made_of ORDER BY n DESC LIMIT 1)), 'pg_catalog') AS operators;

-- type_name_of: a type as the catalogue calls it
SELECT typname AS name FROM pg_type WHERE oid = %(oid)s::oid;
