"""A step that was compiled: what runs forward, and what takes it back."""

from __future__ import annotations

from dataclasses import dataclass

from replank.steps import Step
from sql.scripts import Script


@dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """A step's two scripts."""

    step: Step
    forward: Script
    back: Script

    @property
    def asked(self) -> bool:
        return bool(self.forward.blocks)
