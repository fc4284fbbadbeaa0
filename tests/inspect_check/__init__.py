"""`replank inspect` and `replank check`: what they propose, find and refuse, on real servers."""
