DROP TABLE replank.alembic_version;
CREATE TABLE replank.version (version integer PRIMARY KEY, installed_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO replank.version (version) VALUES (1);
ALTER TABLE replank.job RENAME CONSTRAINT job_place_check TO job_check;
ALTER TABLE replank.restraint RENAME CONSTRAINT restraint_max_jobs_check TO restraint_check;
ALTER TABLE replank.restraint RENAME CONSTRAINT restraint_place_check TO restraint_check1;
DROP VIEW replank.run_in_force;
ALTER TABLE replank.run DROP COLUMN begun_by;
CREATE VIEW replank.run_in_force AS
SELECT r.*,
       EXISTS (SELECT FROM replank.restraint p WHERE p.run_id = r.run_id AND p.kind = 'pause'
                  AND num_nonnulls(p.phase, p.table_no, p.cache_no) = 0) AS paused,
       (SELECT t.max_jobs FROM replank.restraint t WHERE t.run_id = r.run_id AND t.kind = 'throttle'
           AND num_nonnulls(t.phase, t.table_no, t.cache_no) = 0) AS window_limit
  FROM replank.run r;
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT d.objoid::regclass AS name, a.attname AS part FROM pg_description d
    LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'replank'::regnamespace)
  LOOP
    IF one.part IS NULL THEN EXECUTE format('COMMENT ON TABLE %s IS NULL', one.name);
    ELSE EXECUTE format('COMMENT ON COLUMN %s.%I IS NULL', one.name, one.part); END IF;
  END LOOP;
END $$;
