"""Agents of runs as experts for others."""

import dataclasses
from pathlib import Path
from typing import Literal

from triax.learners.cloning.expert import Expert
from triax.learners.registry import register
from triax.spaces import SpaceSpec
from triax.training.agent import load_agent, resolved_checkpoint


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpertRun:
    """The agent of a run, whatever its learner; it says what it would do by its mode."""

    run: Path
    """The run directory; where workers act elsewhere, it has to be there, too."""
    checkpoint: Literal["last", "best"] | int = "best"
    """The newest, the one with the best evaluation, or the one of these steps."""

    def pinned(self) -> "ExpertRun":
        """Name the checkpoint by its steps, so that a run that is resumed asks the expert that it began with."""
        return dataclasses.replace(self, checkpoint=resolved_checkpoint(run=self.run, checkpoint=self.checkpoint))

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> Expert:
        """Load the agent; see :meth:`triax.learners.cloning.expert.ExpertFactory.build`."""
        agent = load_agent(run_directory=self.run, checkpoint=self.checkpoint)
        for role, own, wanted in (
            ("observations", agent.spec.observation, observation_spec),
            ("actions", agent.spec.action, action_spec),
        ):
            if own != wanted:
                raise ValueError(
                    f"the expert of the run {self.run} has the {role} {own.tree}, and the environment has "
                    f"{wanted.tree}; take an expert that was trained in this environment, with its wrappers."
                )
        return Expert(policy=agent.learner.policy, parameters=agent.parameters)
