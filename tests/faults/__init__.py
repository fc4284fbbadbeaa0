"""Fault tests: workers, brokers, servers and coordinators are killed; the run goes on by itself."""
