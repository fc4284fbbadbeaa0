"""A small platform as Prisma's users name it, with one of everything that names can hang on."""

SCHEMA = """
CREATE TABLE "Tenant" (id text PRIMARY KEY, "displayName" text NOT NULL);
CREATE TABLE "Booking" (
  id text PRIMARY KEY, "tenantId" text NOT NULL REFERENCES "Tenant" ON DELETE CASCADE,
  "seatNo" int GENERATED ALWAYS AS IDENTITY,
  "serialNo" serial, "totalCents" int NOT NULL DEFAULT 7,
  "totalEuros" int GENERATED ALWAYS AS ("totalCents" / 100) STORED,
  note text, "parentId" text REFERENCES "Booking", CONSTRAINT "Booking_note_key" UNIQUE (note),
  CHECK ("totalCents" >= 0));
CREATE INDEX "Booking_tenantId_idx" ON "Booking" ("tenantId") WHERE "totalCents" > 5;
CREATE TABLE "EventLog" (id bigint GENERATED ALWAYS AS IDENTITY, "happenedAt" date NOT NULL,
  "bookingId" text REFERENCES "Booking" ON DELETE CASCADE,
  PRIMARY KEY (id, "happenedAt")) PARTITION BY RANGE ("happenedAt");
CREATE TABLE "EventLog_old" PARTITION OF "EventLog" FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE "EventLog_new" PARTITION OF "EventLog" FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE TABLE "_BookingToTenant" ("A" text REFERENCES "Booking" ON DELETE CASCADE,
  "B" text REFERENCES "Tenant" ON DELETE CASCADE);
CREATE TABLE "BaseItem" (id int, "madeAt" date); CREATE TABLE "SpecialItem" ("extraNote" text) INHERITS ("BaseItem");
CREATE TABLE plain (id int PRIMARY KEY, "stillOld" text);
CREATE VIEW open_bookings AS
  SELECT b.id, b."totalCents", t."displayName" FROM "Booking" b JOIN "Tenant" t ON t.id = b."tenantId";
CREATE FUNCTION total(of_tenant text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE one "Booking"%ROWTYPE; made bigint := 0;
BEGIN
  FOR one IN SELECT * FROM "Booking" WHERE "tenantId" = of_tenant LOOP made := made + one."totalCents"; END LOOP;
  RETURN made;
END $$;
CREATE FUNCTION book(new_id text, of_tenant text) RETURNS void LANGUAGE sql
  AS 'INSERT INTO "Booking" (id, "tenantId") VALUES (new_id, of_tenant)';
ALTER TABLE "Tenant" ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON "Tenant" USING ("displayName" <> 'hidden') WITH CHECK ("displayName" <> 'forbidden');
CREATE RULE "noDelete" AS ON DELETE TO plain DO INSTEAD NOTHING;
COMMENT ON TABLE "Booking" IS 'What was booked'; COMMENT ON COLUMN "Booking"."totalCents" IS 'in cents';
CREATE PUBLICATION news FOR TABLE "Booking" ("tenantId", id) WHERE ("totalCents" > 3)
  WITH (publish = 'insert');
INSERT INTO "Tenant" VALUES ('t1', 'One'), ('t2', 'Two'), ('t3', 'hidden');
INSERT INTO "Booking" (id, "tenantId", note)
  SELECT 'b' || g, 't' || 1 + g % 2, 'n' || g FROM generate_series(1, 40) AS g;
INSERT INTO "EventLog" ("happenedAt", "bookingId")
  SELECT date '2025-12-20' + g, 'b' || g FROM generate_series(1, 20) AS g;
INSERT INTO "_BookingToTenant" VALUES ('b1', 't1'); INSERT INTO "SpecialItem" VALUES (1, '2026-01-01', 'x');
"""

GRANTS = """
GRANT SELECT, INSERT ON "Tenant" TO reader; GRANT SELECT ON "Tenant" TO clerk WITH GRANT OPTION;
GRANT SELECT (id, "tenantId"), UPDATE ("tenantId"), INSERT (id, "tenantId") ON "Booking" TO reader;
GRANT DELETE ON "Booking" TO reader; GRANT ALL ON "Booking" TO clerk;
REVOKE DELETE ON "Tenant" FROM CURRENT_USER;
"""
