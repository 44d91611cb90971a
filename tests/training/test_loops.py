"""The loops: ratios, warm-up, schedules, stopping, callbacks; each plan fed as it asks; nothing compiled twice."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import outside_learners as outside
import pytest
from jaxtyping import Bool

import triax
from triax.environments.probes import ConstantRewardProbe, CounterProbe, EndlessRewardProbe
from triax.learners.interface import DataPlan, OnPolicyPlan, ReplayPlan, TransitionUnit
from triax.learners.sac import SAC
from triax.random import KeyArray, derive_generator
from triax.runs import CheckpointStore, RunDirectory, read_evaluations, read_metrics
from triax.training.building import build
from triax.training.loops import OnPolicyLoop, ReplayLoop
from triax.trees import Tree
from triax.types import Trajectory, Transitions, UpdateOutput

COUNTER = triax.EnvironmentConfig(factory=CounterProbe)
TRACES: list[str] = []


class TracedLearner(outside.OutsideLearner):
    """Notes each trace of its update, and counts updates; its plan is its config's."""

    @property
    def data_plan(self) -> DataPlan:
        plan: DataPlan = self.config.plan
        return plan

    def ingest(self, *, state: outside.CountingState, chunk: Trajectory) -> tuple[outside.CountingState, Tree]:
        rows = chunk.reward.shape[0] * chunk.reward.shape[1]
        return state, {"reward": jnp.reshape(chunk.reward, rows), "valid": jnp.reshape(chunk.valid, rows)}

    def update(
        self, *, state: outside.CountingState, batch: Any, key: KeyArray
    ) -> tuple[outside.CountingState, UpdateOutput]:
        TRACES.append("update")
        reward = batch.reward if isinstance(batch, Transitions) else batch["reward"]
        stop = None
        if self.config.stop_after is not None:
            stop = state.updates % self.config.stop_after == self.config.stop_after - 1
        return outside.CountingState(updates=state.updates + 1), UpdateOutput(
            metrics={"reward_sum": jnp.sum(reward), "updates_seen": state.updates}, stop=stop
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracedConfig:
    """Describes a traced learner."""

    plan: Any
    stop_after: int | None = None

    def build(self, *, observation_spec: Any, action_spec: Any) -> TracedLearner:
        return TracedLearner(config=self, observation_spec=observation_spec, action_spec=action_spec)


class LearningWhereActed(TracedLearner):
    """Leaves minibatches out in which no action was taken, and says of the others how many rows have one."""

    def learns_from(self, *, batch: Any) -> Bool[jax.Array, ""]:
        return jnp.any(batch["valid"])

    def update(
        self, *, state: outside.CountingState, batch: Any, key: KeyArray
    ) -> tuple[outside.CountingState, UpdateOutput]:
        state, output = super().update(state=state, batch=batch, key=key)
        return state, UpdateOutput(metrics={"acted": jnp.sum(batch["valid"]), **output.metrics})


class LearningWhereActedConfig(TracedConfig):
    """Describes it."""

    def build(self, *, observation_spec: Any, action_spec: Any) -> TracedLearner:
        return LearningWhereActed(config=self, observation_spec=observation_spec, action_spec=action_spec)


class CountingIngests(TracedLearner):
    """Acts with how many pieces of experience it has taken in, as others act with statistics of them."""

    ingests = True

    def ingest(self, *, state: outside.CountingState, chunk: Trajectory) -> tuple[outside.CountingState, Tree]:
        return outside.CountingState(updates=state.updates + 1000), ()

    def policy_parameters(self, *, state: outside.CountingState) -> Tree:
        return state.updates


class CountingIngestsConfig(TracedConfig):
    """Describes it."""

    def build(self, *, observation_spec: Any, action_spec: Any) -> TracedLearner:
        return CountingIngests(config=self, observation_spec=observation_spec, action_spec=action_spec)


def _experiment(plan: Any, *, environments: int = 2, stop_after: int | None = None, **changes: Any) -> triax.Experiment:
    settings: dict[str, Any] = {
        "name": "loops",
        "learner": TracedConfig(plan=plan, stop_after=stop_after),
        "environment": COUNTER,
        "rollout": triax.RolloutConfig(environments_per_worker=environments),
        "total_steps": 200,
        "evaluation": triax.EvaluationConfig(interval=100, episodes=2, environments=2),
        "loop": triax.LoopConfig(log_interval=50, video=False, updates_per_call=4),
    }
    return triax.Experiment(**(settings | changes))


def _replay_plan(**changes: Any) -> ReplayPlan:
    settings: dict[str, Any] = {"batch_size": 8, "unit": TransitionUnit(discount=0.9), "warmup_steps": 40}
    return ReplayPlan(**(settings | changes))


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_updates_keep_their_ratio_to_steps_after_the_warm_up(ratio: float, tmp_path: Path) -> None:
    experiment = _experiment(_replay_plan(updates_per_step=ratio))
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    for row in read_metrics(RunDirectory.open(result.run_directory)):
        due = max(0.0, (row.environment_steps - 40) * ratio)
        # Calls are of 4 updates, and steps come in twos.
        assert due - 4 - 2 * ratio < row.updates <= due


@pytest.mark.parametrize("random_warmup", [True, False])
def test_what_acts_is_what_a_resumed_run_would_act_with(random_warmup: bool) -> None:
    plan = _replay_plan(warmup_steps=20, random_warmup=random_warmup)
    parts = build(experiment=_experiment(plan, learner=CountingIngestsConfig(plan=plan)))
    try:
        without_update = 0
        for _ in range(30):
            updates = parts.loop.counters.updates
            # So short iterations, as events of a schedule make them, often end without an update.
            parts.loop.advance(limit=1)
            if random_warmup and parts.loop.steps < 20:
                continue
            acting: Any = parts.loop.fleet._published.parameters  # type: ignore[attr-defined]
            assert float(acting) == float(parts.loop.learner_state.updates)
            without_update += parts.loop.counters.updates == updates
        assert without_update > 5
    finally:
        parts.close()


@pytest.mark.parametrize("capacity", [1_000_000, 100])
def test_a_short_run_keeps_every_step_of_episodes_however_short(capacity: int) -> None:
    # Episodes of one step have as many final observations as steps, and these have rows, too: of 100 rows, half.
    environment = triax.EnvironmentConfig(factory=ConstantRewardProbe)
    replay = triax.ReplayConfig(capacity=capacity)
    parts = build(experiment=_experiment(_replay_plan(), environment=environment, replay=replay))
    try:
        while parts.loop.steps < 200:
            parts.loop.advance(limit=200 - parts.loop.steps)
        assert isinstance(parts.loop, ReplayLoop)
        assert len(parts.loop.replay) == min(200, capacity // 2)
    finally:
        parts.close()


def test_a_tolerance_makes_no_update_before_the_first_step() -> None:
    loop = triax.LoopConfig(updates_per_call=4, ratio_tolerance=4, video=False)
    parts = build(experiment=_experiment(_replay_plan(warmup_steps=0), loop=loop))
    try:
        parts.loop.advance(limit=8)
        assert parts.loop.steps > 0
        assert parts.loop.counters.updates == 4
    finally:
        parts.close()


def test_update_is_traced_once_a_run(tmp_path: Path) -> None:
    plans = [_replay_plan(), OnPolicyPlan(steps=10, epochs=2, minibatch_size=5), OnPolicyPlan(steps=1)]
    for index, plan in enumerate(plans):
        TRACES.clear()
        triax.train(experiment=_experiment(plan), run_directory=tmp_path / str(index))
        assert len(TRACES) == 1


def test_trap_14_an_epoch_is_a_pass_over_all_rows() -> None:
    parts = build(experiment=_experiment(OnPolicyPlan(steps=10, epochs=3, minibatch_size=5)))
    try:
        assert isinstance(parts.loop, OnPolicyLoop)
        iteration = parts.loop.advance(limit=1)
        (metrics,) = iteration.metrics
        # 20 rows in minibatches of 5, three times over: 12 updates, and each epoch sums the same rewards.
        sums = np.asarray(metrics["reward_sum"]).reshape(3, 4).sum(axis=1)
        assert parts.loop.counters.updates == 12
        np.testing.assert_allclose(sums, sums[0])
        assert sums[0] > 0.0
    finally:
        parts.close()


def test_every_epoch_has_an_order_of_its_own() -> None:
    parts = build(experiment=_experiment(OnPolicyPlan(steps=10, epochs=3, minibatch_size=1)))
    try:
        (metrics,) = parts.loop.advance(limit=1).metrics
        orders = np.asarray(metrics["reward_sum"]).reshape(3, 20)
        assert len({tuple(order) for order in orders}) == 3
        np.testing.assert_array_equal(np.sort(orders, axis=1), np.sort(orders, axis=1)[[0, 0, 0]])
    finally:
        parts.close()


def test_only_minibatches_without_an_action_are_left_out() -> None:
    # Episodes of one step: about half of all rows are final observations.
    plan = OnPolicyPlan(steps=10, epochs=2, minibatch_size=1)
    environment = triax.EnvironmentConfig(factory=ConstantRewardProbe)
    experiment = _experiment(plan, learner=LearningWhereActedConfig(plan=plan), environment=environment)
    parts = build(experiment=experiment)
    try:
        (metrics,) = parts.loop.advance(limit=1).metrics
        assert 0 < parts.loop.steps < 20
        assert parts.loop.counters.updates == 2 * parts.loop.steps
        np.testing.assert_array_equal(metrics["acted"], np.ones(2 * parts.loop.steps))
    finally:
        parts.close()


def test_an_early_stop_ends_the_epochs_over_this_chunk_only() -> None:
    parts = build(experiment=_experiment(OnPolicyPlan(steps=10, epochs=3, minibatch_size=5), stop_after=7))
    try:
        for chunk in range(1, 3):
            iteration = parts.loop.advance(limit=1)
            assert len(np.asarray(iteration.metrics[0]["updates_seen"])) == 7
            assert parts.loop.counters.updates == 7 * chunk
    finally:
        parts.close()


def test_minibatches_that_do_not_divide_a_chunk_are_refused() -> None:
    with pytest.raises(ValueError, match=r"minibatch_size=7 does not divide the 20 rows"):
        build(experiment=_experiment(OnPolicyPlan(steps=10, minibatch_size=7)))


def test_a_stream_sees_every_step_once_and_in_order(tmp_path: Path) -> None:
    experiment = _experiment(OnPolicyPlan(steps=1), environments=1, total_steps=60)
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    rows = read_metrics(RunDirectory.open(result.run_directory))
    # One update a row; rows in which an episode's final observation stands are updates without a valid row.
    assert rows[-1].updates >= rows[-1].environment_steps == 60


def test_evaluations_and_checkpoints_come_when_they_are_due(tmp_path: Path) -> None:
    checkpoint = triax.CheckpointConfig(interval=70, keep_last=100)
    result = triax.train(
        experiment=_experiment(_replay_plan(), environments=1, checkpoint=checkpoint), run_directory=tmp_path / "run"
    )
    assert [row.environment_steps for row in result.evaluations] == [0, 100, 200]
    steps = CheckpointStore(RunDirectory.open(result.run_directory).checkpoints_path).steps()
    assert {70, 140, 200} <= set(steps)
    assert result.reason == "done"


def test_a_return_that_is_reached_ends_the_run_in_order(tmp_path: Path) -> None:
    experiment = _experiment(_replay_plan(), stop=triax.StopConfig(at_return=0.5), total_steps=100_000)
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    assert result.reason == "the mean return reached 0.5"
    assert [row.environment_steps for row in result.evaluations] == [0]
    assert CheckpointStore(tmp_path / "run" / "checkpoints").resolve("last", full=True) == 0


def test_wall_time_ends_the_run_in_order(tmp_path: Path) -> None:
    experiment = _experiment(_replay_plan(), stop=triax.StopConfig(after_seconds=0.5), total_steps=10_000_000)
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    assert result.reason == "0.5 seconds are over"
    assert result.evaluations[-1].environment_steps > 0


SEEN: list[tuple[str, int]] = []


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoppingCallback(triax.Callback):
    """Notes what it sees and ends the run at the second evaluation."""

    at: int

    def on_start(self, view: triax.TrainingView) -> None:
        SEEN.append(("start", view.environment_steps))

    def on_metrics(self, view: triax.TrainingView, row: Any) -> None:
        SEEN.append(("metrics", row.environment_steps))

    def on_evaluation(self, view: triax.TrainingView, row: Any) -> None:
        SEEN.append(("evaluation", row.environment_steps))
        assert jax.tree.leaves(view.policy_parameters())
        if view.environment_steps >= self.at:
            view.stop("enough is enough")

    def on_end(self, view: triax.TrainingView) -> None:
        SEEN.append(("end", view.environment_steps))


def test_callbacks_see_the_run_and_can_end_it(tmp_path: Path) -> None:
    SEEN.clear()
    experiment = _experiment(_replay_plan(), environments=1, callbacks=(StoppingCallback(at=100),), total_steps=1000)
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    assert result.reason == "enough is enough"
    assert [row.environment_steps for row in read_evaluations(RunDirectory.open(tmp_path / "run"))] == [0, 100]
    assert SEEN[0] == ("start", 0)
    assert ("evaluation", 100) in SEEN
    assert SEEN[-1] == ("end", 100)


@pytest.mark.parametrize("steps", [2, 7])
def test_trap_11_time_limits_are_not_terminations_from_environment_to_critic(steps: int) -> None:
    # Reward 1 for ever, cut off after some steps, discount 0.8: V = 1 / (1 − 0.8) = 5 whatever the limit. Taken for a
    # termination, a limit of 2 steps gives at most 1 + 0.8 = 1.8. A fixed, tiny temperature leaves entropy out.
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(16,)))
    fast = triax.OptimizerConfig(learning_rate=1e-2)
    learner = triax.SACConfig(
        discount=0.8, batch_size=32, warmup_steps=50, updates_per_step=4.0, target_rate=0.1, actor=small, critic=small,
        critic_optimizer=fast, learn_temperature=False, initial_temperature=1e-6,
    )  # fmt: skip
    environment = triax.EnvironmentConfig(
        factory=EndlessRewardProbe, arguments={"steps": steps, "actions": "continuous"}
    )
    parts = build(
        experiment=triax.Experiment(name="endless", learner=learner, environment=environment, total_steps=250)
    )
    try:
        while parts.loop.steps < 250:
            parts.loop.advance(limit=250)
        assert isinstance(parts.learner, SAC)
        observation = parts.spec.observation.zeros(batch_shape=(1,))
        first = environment.make()
        observation = parts.spec.observation.stack_to_inside([first.reset(seed=0)[0]])
        critic = parts.learner.critic.bind(parameters=parts.loop.learner_state.critics.parameters[0])
        value = float(critic.of_action(observation, parts.spec.action.zeros(batch_shape=(1,)))[0])
        assert value == pytest.approx(5.0, abs=0.4)
    finally:
        parts.close()


def test_trap_08_the_replay_holds_actions_as_the_policy_chose_them() -> None:
    # Pendulum's torque lies in [−2, 2]; the policy's action, and the replay's, in [−1, 1]. Uniform random actions of
    # the
    # warm-up have a standard deviation of 1/√3 = 0.58 inside; outside it would be 1.15, and clipping would put
    # half of them at the ends.
    experiment = _experiment(
        _replay_plan(warmup_steps=400),
        environments=4,
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        total_steps=800,
    )
    parts = build(experiment=experiment)
    try:
        while parts.loop.steps < 400:
            parts.loop.advance(limit=400)
        assert isinstance(parts.loop, ReplayLoop)
        batch = parts.loop.replay.sample(
            unit=TransitionUnit(discount=0.9),
            batch_size=300,
            batches=1,
            generator=derive_generator(seed=0, name=("t",)),
        )
        assert isinstance(batch, Transitions)
        assert np.abs(batch.action).max() < 1.0
        assert np.std(batch.action) == pytest.approx(1 / np.sqrt(3.0), abs=0.06)
    finally:
        parts.close()


def test_trap_32_metrics_stay_on_the_device_until_a_row_is_due() -> None:
    parts = build(experiment=_experiment(_replay_plan(warmup_steps=8)))
    try:
        metrics: tuple[Tree, ...] = ()
        while not metrics:
            metrics = parts.loop.advance(limit=100).metrics
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(metrics))
    finally:
        parts.close()


@pytest.mark.parametrize("plan", [_replay_plan(), OnPolicyPlan(steps=1)])
def test_trap_25_no_update_waits_for_a_metric(plan: DataPlan, tmp_path: Path) -> None:
    loop = triax.LoopConfig(log_interval=50, video=False, updates_per_call=1)
    experiment = _experiment(plan, environments=1, total_steps=500, loop=loop)
    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")
    rows = read_metrics(RunDirectory.open(result.run_directory))
    seconds = np.diff([row.wall_seconds for row in rows]) / np.diff([row.updates for row in rows])
    # A wait of 0.1 s would be in every update; what else the machine does slows down some of the rows.
    assert len(seconds) > 5
    assert np.min(seconds) < 0.03
