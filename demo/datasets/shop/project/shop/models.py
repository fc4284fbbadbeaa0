"""The tables of a shop."""

from datetime import datetime
from decimal import Decimal
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Numeric, String, Table, Text, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from .base import Base, HasCreated, HasId, Key


def new_id() -> str:
    return str(uuid4())


class Tenant(HasId, HasCreated, Base):
    __tablename__ = "tenants"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    users: Mapped[list["User"]] = relationship(back_populates="tenant")


class User(HasId, HasCreated, Base):
    __tablename__ = "users"

    tenant_id: Mapped[str] = mapped_column(String(36), ForeignKey("tenants.id"), index=True)
    email: Mapped[str] = mapped_column(String(255))
    # Who let them in: another user, or nobody.
    invited_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    tenant: Mapped[Tenant] = relationship(back_populates="users")
    # When they go, those whom they have let in stay.
    invited: Mapped[list["User"]] = relationship()
    api_keys: Mapped[list["ApiKey"]] = relationship(back_populates="user", cascade="all, delete-orphan")

    __table_args__ = (Index("users_email", text("lower(email)"), unique=True),)


class ApiKey(Base):
    __tablename__ = "api_keys"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey("users.id"))
    note: Mapped[str | None] = mapped_column(Text)
    user: Mapped[User] = relationship(back_populates="api_keys")


class Address(HasId, Base):
    __tablename__ = "addresses"

    street: Mapped[str] = mapped_column(String(200))
    city: Mapped[str] = mapped_column(String(100))
    customers: Mapped[list["Customer"]] = relationship(back_populates="address")


class Customer(HasId, HasCreated, Base):
    __tablename__ = "customers"

    tenant_id: Mapped[str] = mapped_column(String(36), ForeignKey("tenants.id"))
    address_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("addresses.id"))
    name: Mapped[str] = mapped_column(String(100))
    address: Mapped[Address | None] = relationship(back_populates="customers")
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", cascade="all, delete-orphan")


class Warehouse(HasId, Base):
    __tablename__ = "warehouses"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    shelves: Mapped[list["Shelf"]] = relationship(back_populates="warehouse", cascade="all, delete-orphan")


class Shelf(Base):
    __tablename__ = "shelves"

    id = sa.Column(sa.String(36), primary_key=True, default=new_id)
    warehouse_id = sa.Column(sa.String(length=36), sa.ForeignKey("warehouses.id"), nullable=False)
    number = sa.Column("shelf_number", sa.Integer, nullable=False)
    warehouse = relationship(Warehouse, back_populates="shelves")

    __table_args__ = (sa.UniqueConstraint("warehouse_id", "shelf_number"),)


class Product(HasId, HasCreated, Base):
    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(String(30), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    # Given out by the database, for barcodes.
    label: Mapped[str] = mapped_column(String(36), server_default=text("(gen_random_uuid())::text"))
    stock: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    tags: Mapped[list["Tag"]] = relationship(secondary="product_tags", back_populates="products")

    __table_args__ = (Index("products_name", text("lower(name)"), text("id")),)
    # Read without a lock; who writes second is told, and tries again.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Tag(HasId, Base):
    __tablename__ = "tags"

    name: Mapped[str] = mapped_column(String(50), unique=True)
    products: Mapped[list[Product]] = relationship(secondary="product_tags", back_populates="tags")


product_tags = Table(
    "product_tags",
    Base.metadata,
    Column("product_id", String(36), ForeignKey("products.id"), primary_key=True),
    Column("tag_id", String(36), ForeignKey("tags.id"), primary_key=True),
)


class Carrier(Base):
    __tablename__ = "carriers"

    id: Mapped[Key] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    shipments: Mapped[list["Shipment"]] = relationship(back_populates="carrier")


class Order(HasId, HasCreated, Base):
    __tablename__ = "orders"

    customer_id: Mapped[str] = mapped_column(String(36), ForeignKey("customers.id"), index=True)
    state: Mapped[str] = mapped_column(String(20), server_default="open")
    total: Mapped[Decimal] = mapped_column(Numeric(12, 2), server_default=text("0"))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    customer: Mapped[Customer] = relationship(back_populates="orders")
    shipments: Mapped[list["Shipment"]] = relationship(back_populates="order", cascade="all, delete-orphan")
    lines: Mapped[list["OrderLine"]] = relationship(
        primaryjoin=lambda: foreign(OrderLine.order_id) == Order.id,
        back_populates="order",
        cascade="all, delete-orphan",
    )

    __table_args__ = (Index("orders_open", "created_at", postgresql_where=text("state = 'open'")),)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class OrderLine(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    order_id: Mapped[str] = mapped_column(String(36), index=True)
    product_id: Mapped[str] = mapped_column(String(36), ForeignKey("products.id"))
    quantity: Mapped[int] = mapped_column(Integer)
    # The database knows no foreign key here.
    order: Mapped[Order] = relationship(
        primaryjoin=lambda: foreign(OrderLine.order_id) == Order.id, back_populates="lines"
    )
    product: Mapped[Product] = relationship()


class Shipment(HasId, Base):
    __tablename__ = "shipments"

    order_id: Mapped[str] = mapped_column(String(36), ForeignKey("orders.id"))
    carrier_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("carriers.id"))
    sent_at: Mapped[datetime | None]
    order: Mapped[Order] = relationship(back_populates="shipments")
    carrier: Mapped[Carrier | None] = relationship(back_populates="shipments")


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subject: Mapped[str] = mapped_column("subject_id", String(36), index=True)
    what: Mapped[str] = mapped_column(Text)
