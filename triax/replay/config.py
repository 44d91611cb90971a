"""What can be set in a replay."""

import dataclasses
import math

from triax.replay.sampler import SamplerFactory, UniformSampler

GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """How experience is kept, and how it is drawn.

    :raises ValueError: if a value is out of range.
    """

    capacity: int = 1_000_000
    """
    Rows that are kept, over all environments, each of which has an equal share: one for each environment step, and one
    for the final observation of each episode.
    """
    sampler: SamplerFactory = UniformSampler
    """Makes the sampler that chooses which rows are drawn."""
    memory_limit_gib: float | None = None
    """GiB that the replay may take; None: what the machine has available when the replay is made."""

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"ReplayConfig.capacity is {self.capacity}; it must be at least 1 environment step.")
        if not callable(self.sampler):
            raise ValueError(
                f"ReplayConfig.sampler is {self.sampler!r}, which cannot be called; give a class such as "
                "UniformSampler "
                "or a function with the argument `slots` that makes a Sampler, not a Sampler."
            )
        limit = self.memory_limit_gib
        if limit is not None and not (limit > 0 and math.isfinite(limit)):
            raise ValueError(
                f"ReplayConfig.memory_limit_gib is {limit}; give a positive number of GiB, or None for what the "
                "machine has available."
            )
