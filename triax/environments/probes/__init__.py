"""Probe environments: tiny tasks with known answers, for tests of learners, replay, rollouts and fleets.

Each class's docstring states the answer: the value of each observation, or the best return and the mean return of a
uniform random policy (``best_return`` and ``random_return``). They find in seconds what hours of training hide.

- :mod:`~triax.environments.probes.values`: what a value function must say.
- :mod:`~triax.environments.probes.choices`: what a policy must do, in every kind of action space.
- :mod:`~triax.environments.probes.perception`: an image, and a memory.
- :mod:`~triax.environments.probes.bookkeeping`: a counter that marks every step, and environments that fail.
"""

from triax.environments.probes.base import ActionKind, Outcome, Probe, action_space_of
from triax.environments.probes.bookkeeping import CountedEpisode, CounterProbe, NanProbe, ProbeFailure, RaisingProbe
from triax.environments.probes.choices import (
    ActionObservationProbe,
    ActionProbe,
    MixedActionProbe,
    NestedActionProbe,
)
from triax.environments.probes.perception import ImageProbe, MemoryProbe
from triax.environments.probes.values import (
    ConstantRewardProbe,
    EndingRewardProbe,
    EndlessRewardProbe,
    ObservedRewardProbe,
    TwoStepProbe,
)

__all__ = [
    "ActionKind",
    "ActionObservationProbe",
    "ActionProbe",
    "ConstantRewardProbe",
    "CountedEpisode",
    "CounterProbe",
    "EndingRewardProbe",
    "EndlessRewardProbe",
    "ImageProbe",
    "MemoryProbe",
    "MixedActionProbe",
    "NanProbe",
    "NestedActionProbe",
    "ObservedRewardProbe",
    "Outcome",
    "Probe",
    "ProbeFailure",
    "RaisingProbe",
    "TwoStepProbe",
    "action_space_of",
]
