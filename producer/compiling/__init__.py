"""All steps of a plan as scripts: compiled, compared with what was read, told from what psql has run."""
