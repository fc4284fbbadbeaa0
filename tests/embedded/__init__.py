"""The embedded servers: real ones, and processes that own them and die."""
