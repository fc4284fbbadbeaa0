"""What clients do to the platform: some of the old style, some of the new one."""
