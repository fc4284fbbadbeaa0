-- measure: how far WAL and size are; the first reading is the beginning
INSERT INTO replank.run_measure (run_id, wal_start, bytes_start, bytes_peak, wal_now)
SELECT %(run_id)s, lsn, bytes, bytes, lsn
  FROM pg_current_wal_insert_lsn() AS lsn, pg_database_size(current_database()) AS bytes
ON CONFLICT (run_id) DO UPDATE SET bytes_peak = greatest(run_measure.bytes_peak, excluded.bytes_peak),
   wal_now = excluded.wal_now, measured_at = clock_timestamp();
