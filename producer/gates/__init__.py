"""Gates: what must be so before the data migration, checked, attested, overridden."""
