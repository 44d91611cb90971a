"""How and when policies are evaluated, as it stands in an experiment."""

import dataclasses


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

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("interval", "episodes", "environments"):
            if getattr(self, name) < 1:
                raise ValueError(f"EvaluationConfig.{name}={getattr(self, name)} must be at least 1.")
