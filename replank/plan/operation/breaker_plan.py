"""`[breaker]` in a plan: when a table's jobs fail so often that the rest of them need not be tried."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from replank.plan.text.plan_words import Strict


class BreakerPlan(Strict):
    """A table stops after `equal_errors` equal errors in a row, nothing of it going well in between; or when more than
    `failed_percent` of at least `at_least_jobs` of its jobs have failed; or when more than `failed_jobs` of them need a
    person, each for a row of its own. The rest of the run continues.
    """

    equal_errors: Annotated[int, Field(ge=2, le=10_000)] = 20
    failed_percent: Annotated[int, Field(ge=1, le=100)] = 50
    at_least_jobs: Annotated[int, Field(ge=2, le=1_000_000)] = 50
    failed_jobs: Annotated[int, Field(ge=1, le=1_000_000)] = 100
