"""What has diverged is neither evaluated nor kept, and its environment is not blamed."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import outside_learners as outside
import pytest

import triax
from triax.environments.probes import CounterProbe
from triax.learners.interface import DataPlan, LearnerConfig, OnPolicyPlan, ReplayPlan, TransitionUnit
from triax.random import KeyArray
from triax.runs import CheckpointStore, RunDirectory, read_evaluations
from triax.training.evaluating import AGENT_PART
from triax.training.metrics import Diverged
from triax.trees import Tree
from triax.types import Trajectory, UpdateOutput

SMALL = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))
STEEP = triax.OptimizerConfig(learning_rate=1e38)
REPLAYED = ReplayPlan(batch_size=8, unit=TransitionUnit(discount=0.9), warmup_steps=40)


class BreakingLearner(outside.OutsideLearner):
    """Its metrics, or its policy's parameters, are NaN from an update on."""

    @property
    def data_plan(self) -> DataPlan:
        plan: DataPlan = self.config.plan
        return plan

    def ingest(self, *, state: outside.CountingState, chunk: Trajectory) -> tuple[outside.CountingState, Tree]:
        return state, jnp.reshape(chunk.reward, -1)

    def policy_parameters(self, *, state: outside.CountingState) -> Tree:
        return {"actor": self._value(state.updates, breaks=self.config.breaks == "parameters")}

    def update(
        self, *, state: outside.CountingState, batch: Any, key: KeyArray
    ) -> tuple[outside.CountingState, UpdateOutput]:
        updates = state.updates + 1
        metrics = {"loss": self._value(updates, breaks=self.config.breaks == "metrics")}
        return outside.CountingState(updates=updates), UpdateOutput(metrics=metrics)

    def _value(self, updates: jax.Array, *, breaks: bool) -> jax.Array:
        return jnp.where((updates >= self.config.after) & breaks, jnp.nan, updates)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BreakingConfig:
    """Describes it."""

    plan: Any
    breaks: str
    after: int

    def build(self, *, observation_spec: Any, action_spec: Any) -> BreakingLearner:
        return BreakingLearner(config=self, observation_spec=observation_spec, action_spec=action_spec)


def diverging(*, learner: LearnerConfig, environment: triax.EnvironmentConfig, **evaluation: Any) -> triax.Experiment:
    return triax.Experiment(
        name="diverging",
        learner=learner,
        environment=environment,
        total_steps=400,
        evaluation=triax.EvaluationConfig(**({"interval": 100, "episodes": 2, "environments": 2} | evaluation)),
        checkpoint=triax.CheckpointConfig(interval=50),
        loop=triax.LoopConfig(log_interval=1000, video=False),
    )


@pytest.mark.parametrize("breaks", ["metrics", "parameters"])
@pytest.mark.parametrize("plan", [REPLAYED, OnPolicyPlan(steps=10)], ids=["replay", "on policy"])
@pytest.mark.parametrize("backend", ["inline", "process"])
def test_what_is_not_finite_is_neither_evaluated_nor_saved(
    breaks: str, plan: Any, backend: str, tmp_path: Path
) -> None:
    # Both between the checkpoint of step 50 and the next: an update for each step from 40 on, or for up to 10 steps.
    learner = BreakingConfig(plan=plan, breaks=breaks, after=25 if plan is REPLAYED else 8)
    experiment = diverging(learner=learner, environment=triax.EnvironmentConfig(factory=CounterProbe), backend=backend)
    cause = "loss = nan" if breaks == "metrics" else "the policy's parameters actor are not finite"
    with pytest.raises(
        Diverged, match=rf"learning diverged: {cause}\. .*Checkpoint 5\d is from before: `.*triax resume"
    ):
        triax.train(experiment=experiment, run_directory=tmp_path / "run")
    evaluated = {row.environment_steps for row in read_evaluations(RunDirectory.open(tmp_path / "run"))}
    assert evaluated <= {0}  # nothing, if the process is still at it
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    kept = [store.load(steps=steps, part=AGENT_PART, template={"actor": np.float32(0)}) for steps in store.steps()]
    assert len(kept) == 2
    assert all(np.isfinite(agent["actor"]) for agent in kept)


@pytest.mark.parametrize(("actions", "at_start"), [("discrete", True), ("continuous", False)])
def test_learners_with_a_learning_rate_far_too_high(actions: str, at_start: bool, tmp_path: Path) -> None:
    if actions == "discrete":
        learner: Any = triax.PPOConfig(steps=16, minibatch_size=16, actor=SMALL, critic=SMALL, optimizer=STEEP)
    else:
        learner = triax.SACConfig(
            actor=SMALL, critic=SMALL, batch_size=8, warmup_steps=20, actor_optimizer=STEEP, critic_optimizer=STEEP
        )
    environment = triax.EnvironmentConfig(id="CartPole-v1" if actions == "discrete" else "Pendulum-v1")
    experiment = diverging(learner=learner, environment=environment, at_start=at_start)
    cause = "approximate_kl = nan, .*" if actions == "discrete" else r"the policy's action is not finite in .*step 29.*"
    after = "Checkpoint 0 is from before" if at_start else r"There is no checkpoint from before\."
    with pytest.raises(Diverged, match=rf"learning diverged: {cause}\. Lower the learning rate.*{after}"):
        triax.train(experiment=experiment, run_directory=tmp_path / "run")
    assert CheckpointStore(tmp_path / "run" / "checkpoints").steps() == ((0,) if at_start else ())
