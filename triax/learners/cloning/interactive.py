"""Cloning of an expert that can be asked while environments are stepped: it says what it would do, in every step.

Labels are made where actions are chosen, and travel and are kept beside them. So what a learner does with them is a
pure function of what it is given, and a run resumes as any other.
"""

import dataclasses
import functools
from collections.abc import Mapping

from triax.learners.cloning.config import CloningConfig
from triax.learners.cloning.expert import LABEL, Expert, ExpertFactory
from triax.learners.cloning.learner import Cloning
from triax.spaces import SpaceSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class InteractiveCloningConfig(CloningConfig):
    """The expert."""

    expert: ExpertFactory
    """Who says what is right."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        self._require((isinstance(self.expert, ExpertFactory), "expert", "must be an expert's config, with a build"))


class InteractiveCloning(Cloning):
    """A policy that learns from an expert's labels.

    :param config: what can be set.
    :param observation_spec: the environment's observations.
    :param action_spec: the environment's actions.
    """

    def __init__(
        self, *, config: InteractiveCloningConfig, observation_spec: SpaceSpec, action_spec: SpaceSpec
    ) -> None:
        super().__init__(config=config, observation_spec=observation_spec, action_spec=action_spec)
        self._expert_factory = config.expert

    @functools.cached_property
    def expert(self) -> Expert:
        """The expert, made when it is first asked for: evaluating what was learned needs none."""
        return self._expert_factory.build(observation_spec=self.observation_spec, action_spec=self.action_spec)

    @property
    def extras_spec(self) -> Mapping[str, SpaceSpec]:
        """The expert's action in each step."""
        return {LABEL: self.action_spec}
