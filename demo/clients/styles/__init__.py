"""How clients speak to PostgreSQL: one module a style."""
