"""Test support that judges the product from outside: it imports nothing of the product, only psycopg."""
