-- What hangs on the tables of torture.sql, when they are filled: views, rules, triggers, policies, grants, comments.
CREATE VIEW shop.people WITH (security_barrier) AS SELECT id, "fullName", balance, email FROM shop.account WHERE tenant < 9;
CREATE VIEW tools.rich AS SELECT p.*, o.id AS order_id, o.total FROM shop.people p LEFT JOIN shop.orders o ON o.account_id = p.id;
CREATE VIEW shop.few WITH (check_option = cascaded) AS SELECT id, tenant, "fullName" FROM shop.account WHERE tenant < 3;
CREATE VIEW tools.whole_rows ("the Row", n) AS SELECT named, n FROM public.named;
CREATE MATERIALIZED VIEW shop.totals WITH (fillfactor = 75) AS
  SELECT a.id, a.tenant, count(o.id) AS orders, sum(o.total) AS total FROM shop.account a LEFT JOIN shop.orders o ON o.account_id = a.id
   GROUP BY a.id, a.tenant;
CREATE UNIQUE INDEX totals_id ON shop.totals (id);
CREATE INDEX totals_by ON shop.totals (orders DESC, tenant) WHERE orders > 0;
CREATE MATERIALIZED VIEW tools.above AS SELECT id, orders FROM shop.totals WHERE orders > 1;
CREATE VIEW tools.top AS WITH best AS (SELECT id FROM tools.above) SELECT r.id, r.order_id FROM tools.rich r JOIN best USING (id);
ALTER VIEW shop.few ALTER COLUMN id SET DEFAULT gen_random_uuid()::text;
CREATE RULE remember AS ON DELETE TO shop.orders WHERE OLD.n > 100000 DO ALSO INSERT INTO tools.gone VALUES (OLD.id, current_user);
CREATE RULE off AS ON UPDATE TO public.whole DO ALSO NOTHING;
ALTER TABLE public.whole DISABLE RULE off;
CREATE TRIGGER few_insert INSTEAD OF INSERT ON tools.rich FOR EACH ROW EXECUTE FUNCTION tools.noted('instead');

CREATE TRIGGER plain BEFORE INSERT OR UPDATE OF balance ON shop.account FOR EACH ROW WHEN (NEW.tenant = 4242) EXECUTE FUNCTION tools.noted('it''s', 'b');
CREATE TRIGGER off AFTER DELETE ON shop.account FOR EACH ROW EXECUTE FUNCTION tools.noted();
CREATE TRIGGER on_replica AFTER INSERT ON shop.account FOR EACH STATEMENT EXECUTE FUNCTION tools.noted();
CREATE TRIGGER "Always on" AFTER UPDATE ON shop.account REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION tools.counted();
CREATE TRIGGER on_truncate BEFORE TRUNCATE ON shop.account EXECUTE FUNCTION tools.noted();
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON shop.account DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.tenant > 4000)
  EXECUTE FUNCTION tools.noted('late');
ALTER TABLE shop.account DISABLE TRIGGER off;
ALTER TABLE shop.account ENABLE REPLICA TRIGGER on_replica;
ALTER TABLE shop.account ENABLE ALWAYS TRIGGER "Always on";
CREATE TRIGGER touched AFTER UPDATE ON shop.orders FOR EACH ROW WHEN (OLD.note IS DISTINCT FROM NEW.note) EXECUTE FUNCTION tools.noted('order');
CREATE TRIGGER dropped AFTER DELETE ON shop.reading FOR EACH ROW EXECUTE FUNCTION tools.noted('reading');
ALTER TABLE shop.reading_old DISABLE TRIGGER dropped;

ALTER TABLE shop.account ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.account FOR SELECT TO clerk USING (EXISTS (SELECT FROM public.named m WHERE m.account_id = account.id));
CREATE POLICY strict ON shop.account AS RESTRICTIVE TO clerk, reader USING (tenant < 300) WITH CHECK (tenant > 0);
CREATE POLICY "may Add" ON shop.account FOR INSERT WITH CHECK ("fullName" IS NOT NULL);
CREATE POLICY parts ON shop.orders FOR UPDATE TO clerk USING (total > 5) WITH CHECK (total > 6);
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;

CREATE PUBLICATION listed FOR TABLE shop.account (id, tenant, "fullName") WHERE (id IS NOT NULL), public.named, tools.history WITH (publish = 'insert, delete');
CREATE PUBLICATION rooted FOR TABLE shop.orders WHERE (id IS NOT NULL), shop.reading (id, at) WITH (publish_via_partition_root);
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA "Side %" WITH (publish = 'insert');
CREATE STATISTICS shop.st_all ON tenant, kind, "fullName" FROM shop.account;
CREATE STATISTICS tools."St %" (ndistinct, dependencies) ON tenant, balance, (tenant % 10) FROM shop.account;
CREATE STATISTICS shop.st_orders (mcv) ON region, account_id FROM shop.orders;
ALTER STATISTICS tools."St %" SET STATISTICS 77;

CREATE FUNCTION tools.shown(a shop.account) RETURNS text LANGUAGE sql STABLE AS $$ SELECT a."fullName" || ' of ' || a.tenant $$;
CREATE FUNCTION tools.orders_from(lowest int DEFAULT 5) RETURNS SETOF shop.orders LANGUAGE sql STABLE SECURITY DEFINER SET search_path = shop
  BEGIN ATOMIC SELECT * FROM shop.orders WHERE n >= lowest ORDER BY n; END;
CREATE FUNCTION tools.first_of(public.named[]) RETURNS public.named LANGUAGE plpgsql AS $$ BEGIN RETURN $1[1]; END $$;
CREATE FUNCTION tools.typed(wanted public.named.id%TYPE) RETURNS bigint LANGUAGE plpgsql STABLE AS
  $$ DECLARE found public.named; BEGIN SELECT * INTO found FROM public.named WHERE id::text = wanted; RETURN found.n; END $$;

GRANT SELECT ON shop.account TO reader WITH GRANT OPTION;
GRANT INSERT (id, "fullName"), UPDATE ("fullName") ON shop.account TO clerk WITH GRANT OPTION;
GRANT SELECT (id), REFERENCES (id) ON shop.account TO PUBLIC;
REVOKE SELECT ON shop.orders FROM reader;
GRANT SELECT, TRIGGER ON shop.orders TO clerk;
GRANT SELECT ON shop.people TO clerk WITH GRANT OPTION;
GRANT SELECT (id, orders) ON shop.totals TO clerk;
REVOKE ALL ON public.whole FROM CURRENT_USER;
GRANT SELECT ON shop.account, shop.orders, shop.reading, public.named TO "the Owner";
ALTER TABLE shop.reading OWNER TO "the Owner";
ALTER TABLE public.named OWNER TO "the Owner";
ALTER VIEW shop.people OWNER TO "the Owner";
ALTER STATISTICS shop.st_all OWNER TO "the Owner";
ALTER FUNCTION tools.shown OWNER TO "the Owner";
REVOKE ALL ON FUNCTION tools.shown FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tools.shown TO clerk WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE shop.account_serial_no_seq TO reader;
GRANT ALL ON SEQUENCE shop.account_always_no_seq TO reader WITH GRANT OPTION;
SET ROLE reader;
GRANT SELECT ON shop.account TO clerk;
RESET ROLE;
SET ROLE clerk;
GRANT UPDATE ("fullName") ON shop.account TO reader;
RESET ROLE;

COMMENT ON TABLE shop.account IS 'a table''s "comment" 100 %s';
COMMENT ON COLUMN shop.account.id IS 'the key {}';
COMMENT ON CONSTRAINT nulls_once ON shop.account IS 'of nulls';
COMMENT ON CONSTRAINT account_manager ON shop.account IS 'who says what to do';
COMMENT ON CONSTRAINT balance_is_sane ON shop.account IS 'sane';
COMMENT ON CONSTRAINT account_key ON shop.account IS 'the key''s';
COMMENT ON INDEX shop.account_cover IS 'covers';
COMMENT ON INDEX shop.account_key IS 'its index';
COMMENT ON TRIGGER off ON shop.account IS 'it''s off';
COMMENT ON POLICY own ON shop.account IS 'one''s own';
COMMENT ON STATISTICS tools."St %" IS 'of tenants';
COMMENT ON RULE remember ON shop.orders IS 'kept';
COMMENT ON TABLE shop.orders IS 'what is ordered';
COMMENT ON COLUMN shop.orders.total IS 'with tax';
COMMENT ON CONSTRAINT of_account ON shop.orders IS 'whose';
COMMENT ON INDEX shop.orders_at IS 'newest first';
COMMENT ON TABLE "Side %".reading_new IS 'since 2025';
COMMENT ON VIEW shop.people IS 'some people';
COMMENT ON COLUMN shop.people.balance IS 'what they have';
COMMENT ON MATERIALIZED VIEW shop.totals IS 'sums';
COMMENT ON INDEX shop.totals_id IS 'by id';
COMMENT ON SEQUENCE shop.account_always_no_seq IS 'an identity''s';
COMMENT ON SEQUENCE shop.account_serial_no_seq IS 'a serial''s';
COMMENT ON FUNCTION tools.shown IS 'how it is shown';
COMMENT ON PUBLICATION listed IS 'a list';
COMMENT ON DOMAIN shop.email IS 'addresses';
ALTER TABLE shop.account ADD CONSTRAINT not_looked_at CHECK (tenant <> 13) NOT VALID;
COMMENT ON CONSTRAINT not_looked_at ON shop.account IS 'old rows may break it';
ALTER TABLE shop.orders ADD CONSTRAINT late_total CHECK (total <> 17) NOT VALID;
REFRESH MATERIALIZED VIEW tools.above;
