"""How and when policies are evaluated, as it stands in an experiment."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How and when policies are evaluated.

    :raises ValueError: if a field is out of its range.
    """

    interval: int = 5000
    """Environment steps (updates, for offline learners) between evaluations."""
    episodes: int = 10
    """How many episodes an evaluation plays; each is fixed beforehand, and counts once."""
    environments: int = 4
    """How many environments play them, side by side. More are faster; fewer than there are episodes suffice."""
    deterministic: bool = True
    """Whether the policy's mode acts (True) or a sample of it (False)."""
    at_start: bool = True
    """Whether the untrained policy is evaluated too."""
    backend: Literal["auto", "inline", "process"] = "auto"
    """Where: "inline" is the trainer's own process, which stands still meanwhile; "process" is one beside it; "auto" is
    beside it where environments are stepped in other processes, too."""
    when_behind: Literal["wait", "stretch"] = "wait"
    """What happens if the process cannot keep up: training waits for it, or evaluations are left out. Both are said."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("interval", "episodes", "environments"):
            if getattr(self, name) < 1:
                raise ValueError(f"EvaluationConfig.{name}={getattr(self, name)} must be at least 1.")
        for name, values in (("backend", ("auto", "inline", "process")), ("when_behind", ("wait", "stretch"))):
            if getattr(self, name) not in values:
                raise ValueError(f"EvaluationConfig.{name}={getattr(self, name)!r} must be one of {values}.")
