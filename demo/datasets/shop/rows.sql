-- The shop's rows, set-based. Each block is one statement with named parameters: how many rows a table gets. An id is
-- made from its table and its number, so the same numbers give the same content.

-- name: functions
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT md5(kind || n)::uuid::text $$;

-- name: tenants
INSERT INTO tenants (id, name) SELECT pg_temp.id('tenant', n), 'Tenant ' || n FROM generate_series(1, %(tenants)s) AS n;

-- name: users
-- Every third user has let in the two that come next.
INSERT INTO users (id, tenant_id, email, invited_by)
SELECT pg_temp.id('user', n), pg_temp.id('tenant', 1 + n / 3 %% %(tenants)s), 'user' || n || '@example.com',
       CASE WHEN n %% 3 > 0 THEN pg_temp.id('user', n - n %% 3) END
  FROM generate_series(0, %(users)s - 1) AS n;

-- name: api_keys
INSERT INTO api_keys (code, user_id, note)
SELECT 'key-' || md5(n::text), pg_temp.id('user', n %% %(users)s), CASE WHEN n %% 2 = 0 THEN 'deploy' END
  FROM generate_series(0, %(api_keys)s - 1) AS n;

-- name: addresses
INSERT INTO addresses (id, street, city)
SELECT pg_temp.id('address', n), n || ' Main Street', (ARRAY['Oslo', 'Łódź', 'Aix-en-Provence'])[1 + n %% 3]
  FROM generate_series(0, %(addresses)s - 1) AS n;

-- name: customers
INSERT INTO customers (id, tenant_id, address_id, name)
SELECT pg_temp.id('customer', n), pg_temp.id('tenant', 1 + n %% %(tenants)s),
       CASE WHEN n %% 4 > 0 THEN pg_temp.id('address', n %% %(addresses)s) END, 'Customer ' || n
  FROM generate_series(0, %(customers)s - 1) AS n;

-- name: warehouses
INSERT INTO warehouses (id, name)
SELECT pg_temp.id('warehouse', n), 'Warehouse ' || n FROM generate_series(0, %(warehouses)s - 1) AS n;

-- name: shelves
INSERT INTO shelves (id, warehouse_id, shelf_number)
SELECT pg_temp.id('shelf', n), pg_temp.id('warehouse', n %% %(warehouses)s), n / %(warehouses)s
  FROM generate_series(0, %(shelves)s - 1) AS n;

-- name: products
INSERT INTO products (id, sku, name, stock)
SELECT pg_temp.id('product', n), 'SKU-' || n, 'Product ' || n, 100 + n %% 900
  FROM generate_series(0, %(products)s - 1) AS n;

-- name: tags
INSERT INTO tags (id, name) SELECT pg_temp.id('tag', n), 'tag ' || n FROM generate_series(0, %(tags)s - 1) AS n;

-- name: product_tags
INSERT INTO product_tags (product_id, tag_id)
SELECT pg_temp.id('product', n / %(tags)s %% %(products)s), pg_temp.id('tag', n %% %(tags)s)
  FROM generate_series(0, LEAST(%(product_tags)s, %(products)s * %(tags)s) - 1) AS n;

-- name: carriers
INSERT INTO carriers (id, name)
SELECT pg_temp.id('carrier', n), 'Carrier ' || n FROM generate_series(0, %(carriers)s - 1) AS n;

-- name: orders
INSERT INTO orders (id, customer_id, state, total, created_at)
SELECT pg_temp.id('order', n), pg_temp.id('customer', n %% %(customers)s),
       (ARRAY['open', 'paid', 'sent'])[1 + n %% 3], (n %% 100000) / 100.0, now() - n %% 730 * interval '1 day'
  FROM generate_series(0, %(orders)s - 1) AS n;

-- name: order_lines
INSERT INTO order_lines (order_id, product_id, quantity)
SELECT pg_temp.id('order', n %% %(orders)s), pg_temp.id('product', n * 7 %% %(products)s), 1 + n %% 9
  FROM generate_series(0, %(order_lines)s - 1) AS n;

-- name: shipments
INSERT INTO shipments (id, order_id, carrier_id, sent_at)
SELECT pg_temp.id('shipment', n), pg_temp.id('order', n %% %(orders)s),
       CASE WHEN n %% 5 > 0 THEN pg_temp.id('carrier', n %% %(carriers)s) END, now() - n %% 700 * interval '1 day'
  FROM generate_series(0, %(shipments)s - 1) AS n;

-- name: events
-- What they are about may be of any table.
INSERT INTO events (subject_id, what)
SELECT CASE WHEN n %% 2 = 0 THEN pg_temp.id('order', n %% %(orders)s) ELSE pg_temp.id('user', n %% %(users)s) END,
       (ARRAY['seen', 'changed', 'printed'])[1 + n %% 3]
  FROM generate_series(0, %(events)s - 1) AS n;
