"""The migration that makes of an older database what the run made of the live one."""
