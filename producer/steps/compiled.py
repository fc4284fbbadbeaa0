"""A step that was compiled: what runs forward, and what takes it back."""

from __future__ import annotations

from dataclasses import dataclass

from replank.values.steps import Step
from sql.scripts.script_templates import Script


@dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """A step's two scripts."""

    step: Step
    forward: Script
    back: Script
    done: bool = False
    """Whether psql has run it already: what takes it back is the script that was compiled before."""

    @property
    def asked(self) -> bool:
        return bool(self.forward.blocks)
