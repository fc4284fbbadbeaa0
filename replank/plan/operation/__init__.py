"""How a run of the plan goes: gates and windows, limits, who may watch, who is told, what counts as success."""
