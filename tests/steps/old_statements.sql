-- What clients with old names say, one statement after the other; each is taken back.
SELECT id FROM "Booking" WHERE "tenantId" = 't2' ORDER BY id LIMIT 2;
SELECT note FROM "Booking" LIMIT 1;
SELECT * FROM "Booking" ORDER BY id LIMIT 1;
SELECT id FROM "Booking" WHERE id = 'b3' FOR UPDATE;
SELECT * FROM "Tenant" ORDER BY id;
SELECT total('t1'), total('t2');
SELECT book('n1', 't1');
INSERT INTO "Booking" (id, "tenantId") VALUES ('x1', 't2');
INSERT INTO "Booking" (id, "tenantId") VALUES ('x1', 't2') RETURNING id;
INSERT INTO "Booking" (id, "tenantId") VALUES ('x1', 't2') RETURNING *;
INSERT INTO "Booking" (id, "tenantId", "seatNo") VALUES ('x1', 't2', 5) RETURNING *;
INSERT INTO "Booking" (id, "tenantId", "seatNo") OVERRIDING SYSTEM VALUE VALUES ('x1', 't2', 500) RETURNING *;
INSERT INTO "Booking" (id, "tenantId", "totalCents", "totalEuros") VALUES ('x1', 't2', 910, DEFAULT) RETURNING *;
INSERT INTO "Booking" (id, "tenantId", "totalEuros") VALUES ('x1', 't2', 4);
INSERT INTO "Booking" (id, "tenantId") VALUES ('b1', 't2');
INSERT INTO "Booking" (id, "tenantId") VALUES ('x1', 'nobody');
INSERT INTO "Booking" (id, "tenantId") VALUES ('b1', 't2') ON CONFLICT DO NOTHING RETURNING id;
INSERT INTO "Booking" (id, "tenantId") VALUES ('b1', 't1')
  ON CONFLICT (id) DO UPDATE SET "tenantId" = excluded."tenantId" RETURNING id, "tenantId";
INSERT INTO "Booking" AS b (id, "tenantId", note) VALUES ('x1', 't2', 'n4')
  ON CONFLICT (note) DO UPDATE SET "totalCents" = b."totalCents" + 1 RETURNING *;
INSERT INTO "Tenant" VALUES ('t4', 'Four') RETURNING *;
INSERT INTO "Tenant" VALUES ('t4', 'forbidden');
INSERT INTO "EventLog" ("happenedAt", "bookingId") VALUES ('2026-05-05', 'b1') RETURNING *;
INSERT INTO "SpecialItem" VALUES (2, '2026-02-02', 'y') RETURNING *;
UPDATE "Booking" SET "tenantId" = 't2' WHERE id = 'b2' RETURNING id;
UPDATE "Booking" SET "tenantId" = 't2';
UPDATE "Booking" SET "totalCents" = -1;
UPDATE "Booking" b SET "totalCents" = b."totalCents" + 1
  FROM "Tenant" t WHERE t.id = b."tenantId" AND b.id < 'b2' RETURNING b.id, t."displayName";
UPDATE "EventLog" SET "happenedAt" = '2026-07-07' WHERE "bookingId" = 'b1' RETURNING "happenedAt";
UPDATE "BaseItem" SET "madeAt" = '2026-03-03' RETURNING *;
DELETE FROM "Booking" WHERE id = 'b5';
DELETE FROM "Booking";
DELETE FROM "Tenant" WHERE id = 't1' RETURNING id;
DELETE FROM "Booking" b USING "Tenant" t WHERE t.id = b."tenantId" AND t.id = 't2' RETURNING b.id;
WITH gone AS (DELETE FROM "EventLog" WHERE "bookingId" = 'b2' RETURNING *) SELECT "bookingId" FROM gone;
SELECT * FROM open_bookings ORDER BY id LIMIT 3;
GRANT SELECT ON "Tenant" TO reader;
LOCK TABLE "Booking" IN SHARE MODE;
