"""The steps that are scripts: what the catalogue says, turned into SQL that can be reviewed."""
