"""The statements that make of an older database what the run made of the live one."""
