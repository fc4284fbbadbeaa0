-- proved: tables of a set whose proof is still the one that was read before the lock
SELECT count(*) AS tables FROM replank.verification v JOIN replank.run_table t USING (run_id, table_no)
 WHERE v.run_id = %(run_id)s AND t.set_no = %(set_no)s AND v.doubt = '' AND v.passed_generation IS NOT NULL
   AND (v.table_no, v.passed_generation) IN (SELECT * FROM unnest(%(numbers)s::int[], %(generations)s::int[]));
