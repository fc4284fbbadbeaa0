-- Keys, indexes, checks, foreign keys and the trigger of the sample market, on tables already filled.

ALTER TABLE plans ADD CONSTRAINT plans_pkey PRIMARY KEY (id),
    ADD CONSTRAINT plans_monthly_price_check CHECK (monthly_price >= 0);
ALTER TABLE settings ADD CONSTRAINT settings_pkey PRIMARY KEY (key);
ALTER TABLE tenants ADD CONSTRAINT tenants_pkey PRIMARY KEY (id),
    ADD CONSTRAINT tenants_slug_key UNIQUE (slug);
ALTER TABLE "User" ADD CONSTRAINT "User_pkey" PRIMARY KEY (id),
    ADD CONSTRAINT "User_email_check" CHECK (email LIKE '%@%');
ALTER TABLE categories ADD CONSTRAINT categories_pkey PRIMARY KEY (id);
ALTER TABLE suppliers ADD CONSTRAINT suppliers_pkey PRIMARY KEY (id),
    ADD CONSTRAINT suppliers_rating_check CHECK (rating BETWEEN 0 AND 10);
ALTER TABLE products ADD CONSTRAINT products_pkey PRIMARY KEY (id),
    ADD CONSTRAINT products_sku_key UNIQUE (sku),
    ADD CONSTRAINT products_price_check CHECK (price > 0),
    ADD CONSTRAINT products_stock_check CHECK (stock >= 0);
ALTER TABLE "Order" ADD CONSTRAINT "Order_pkey" PRIMARY KEY (id),
    ADD CONSTRAINT "Order_total_check" CHECK (total >= 0);
ALTER TABLE order_items ADD CONSTRAINT order_items_pkey PRIMARY KEY (id),
    ADD CONSTRAINT order_items_quantity_check CHECK (quantity > 0);
ALTER TABLE "Tag" ADD CONSTRAINT "Tag_pkey" PRIMARY KEY (id),
    ADD CONSTRAINT "Tag_name_key" UNIQUE (name);
ALTER TABLE "_OrderToTag" ADD CONSTRAINT "_OrderToTag_AB_pkey" PRIMARY KEY ("A", "B");
ALTER TABLE price_rules ADD CONSTRAINT price_rules_pkey PRIMARY KEY (tenant_id, code),
    ADD CONSTRAINT price_rules_discount_check CHECK (discount BETWEEN 0 AND 1);
ALTER TABLE redemptions ADD CONSTRAINT redemptions_pkey PRIMARY KEY (id),
    ADD CONSTRAINT redemptions_order_id_tenant_id_code_key UNIQUE (order_id, tenant_id, code);
ALTER TABLE events ADD CONSTRAINT events_pkey PRIMARY KEY (id),
    ADD CONSTRAINT events_public_id_key UNIQUE (public_id);
ALTER TABLE billing.invoices ADD CONSTRAINT invoices_pkey PRIMARY KEY (id);
ALTER TABLE billing.payments ADD CONSTRAINT payments_pkey PRIMARY KEY (id),
    ADD CONSTRAINT payments_reference_key UNIQUE (reference);

CREATE INDEX tenants_plan_id_idx ON tenants (plan_id);
CREATE UNIQUE INDEX "User_email_key" ON "User" (lower(email));
CREATE INDEX "User_tenantId_idx" ON "User" ("tenantId");
CREATE INDEX categories_parent_idx ON categories (parent);
CREATE INDEX products_category_id_idx ON products (category_id);
CREATE INDEX products_supplier_id_idx ON products (supplier_id) WHERE NOT discontinued;
CREATE INDEX "Order_tenantId_placedAt_idx" ON "Order" ("tenantId", "placedAt" DESC);
CREATE INDEX "Order_userId_idx" ON "Order" ("userId");
CREATE INDEX order_items_order_id_idx ON order_items (order_id) INCLUDE (quantity, unit_price);
CREATE INDEX order_items_product_id_idx ON order_items (product_id);
CREATE INDEX "_OrderToTag_B_index" ON "_OrderToTag" ("B");
CREATE INDEX redemptions_tenant_id_code_idx ON redemptions (tenant_id, code);
CREATE INDEX events_user_id_idx ON events (user_id);
CREATE INDEX events_owner_idx ON events (owner_type, owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX invoices_order_id_idx ON billing.invoices (order_id);
CREATE INDEX invoices_tenant_id_idx ON billing.invoices (tenant_id);
CREATE INDEX payments_invoice_id_idx ON billing.payments (invoice_id);

ALTER TABLE tenants ADD CONSTRAINT tenants_plan_id_fkey
    FOREIGN KEY (plan_id) REFERENCES plans (id) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "User" ADD CONSTRAINT "User_tenantId_fkey"
    FOREIGN KEY ("tenantId") REFERENCES tenants (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE categories ADD CONSTRAINT categories_parent_fkey
    FOREIGN KEY (parent) REFERENCES categories (id) ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE products ADD CONSTRAINT products_category_id_fkey
    FOREIGN KEY (category_id) REFERENCES categories (id) ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE products ADD CONSTRAINT products_supplier_id_fkey
    FOREIGN KEY (supplier_id) REFERENCES suppliers (id) ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE "Order" ADD CONSTRAINT "Order_tenantId_fkey"
    FOREIGN KEY ("tenantId") REFERENCES tenants (id) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "Order" ADD CONSTRAINT "Order_userId_fkey"
    FOREIGN KEY ("userId") REFERENCES "User" (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE order_items ADD CONSTRAINT order_items_order_id_fkey
    FOREIGN KEY (order_id) REFERENCES "Order" (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE order_items ADD CONSTRAINT order_items_product_id_fkey
    FOREIGN KEY (product_id) REFERENCES products (id) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE "_OrderToTag" ADD CONSTRAINT "_OrderToTag_A_fkey"
    FOREIGN KEY ("A") REFERENCES "Order" (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE "_OrderToTag" ADD CONSTRAINT "_OrderToTag_B_fkey"
    FOREIGN KEY ("B") REFERENCES "Tag" (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE price_rules ADD CONSTRAINT price_rules_tenant_id_fkey
    FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE redemptions ADD CONSTRAINT redemptions_order_id_fkey
    FOREIGN KEY (order_id) REFERENCES "Order" (id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE redemptions ADD CONSTRAINT redemptions_tenant_id_code_fkey
    FOREIGN KEY (tenant_id, code) REFERENCES price_rules (tenant_id, code) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE events ADD CONSTRAINT events_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES "User" (id) ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE billing.invoices ADD CONSTRAINT invoices_order_id_fkey
    FOREIGN KEY (order_id) REFERENCES "Order" (id) ON UPDATE CASCADE ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE billing.invoices ADD CONSTRAINT invoices_tenant_id_fkey
    FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE billing.payments ADD CONSTRAINT payments_invoice_id_fkey
    FOREIGN KEY (invoice_id) REFERENCES billing.invoices (id) ON UPDATE CASCADE ON DELETE CASCADE;

CREATE TRIGGER products_touch_updated_at BEFORE UPDATE ON products
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
