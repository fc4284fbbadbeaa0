"""How a message reads in Flower: the job, the kind of work, the chunk, what became of it."""

from __future__ import annotations

import ast
from typing import Any

COLUMNS = "name,kwargs,state,result,runtime,worker,received,uuid"


def format_task(task: Any) -> Any:
    """Flower's hook, called with a copy: `{'job': 5, 'what': 'copy public.Booking heap [0, 16384)'}` as words.

    Only what is shown changes; Flower's search still finds `kwargs:job=5`. `job` is for the link to the run page;
    None where the message does not say it.
    """
    arguments = _dictionary(getattr(task, "kwargs", None))
    task.job = None
    if {"job", "what"} <= arguments.keys():
        task.kwargs = f"job {arguments['job']}: {arguments['what']}"
        if isinstance(arguments["job"], int):
            task.job = arguments["job"]
    result = getattr(task, "result", None)
    if isinstance(result, str) and len(result) > 1 and result[0] == result[-1] and result[0] in "'\"":
        task.result = result[1:-1]
    return task


def _dictionary(shown: object) -> dict[str, object]:
    """What `kwargsrepr` said, if it is whole: events carry it cut off where it is long."""
    try:
        found = ast.literal_eval(shown) if isinstance(shown, str) else None
    except (ValueError, SyntaxError):
        found = None
    return found if isinstance(found, dict) else {}
