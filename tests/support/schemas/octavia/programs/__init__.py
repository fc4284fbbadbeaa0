"""Programs that run in octavia's own environment; nothing of Replank is imported there."""
