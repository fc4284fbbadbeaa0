"""What clients do to the shop: all through SQLAlchemy's ORM."""
