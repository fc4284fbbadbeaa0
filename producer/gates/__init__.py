"""Gates: what must be so before the data migration, looked at, attested, overridden."""
