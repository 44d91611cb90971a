"""DAgger and online supervised learning: who acts, who labels, and that the labels are what is learned."""

import functools
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.learners.bc import BC, BCConfig
from triax.learners.cloning import ExpertFunction
from triax.learners.cloning.expert import LABEL, GuidedParameters
from triax.learners.dagger import DAgger, DAggerConfig
from triax.learners.interface import OnPolicyPlan, ReplayPlan
from triax.learners.online_supervised import OnlineSupervised, OnlineSupervisedConfig
from triax.learners.registry import register
from triax.learners.terms import LinearSchedule
from triax.networks import MLPConfig, NetworkConfig, RunningMoments
from triax.spaces import space_spec
from triax.trees import replace
from triax.types import ActionMode, RowOrigin, Trajectory, Transitions

QUICK = {"xla_backend_optimization_level": 0}
SPECS = {
    "observation_spec": space_spec(space=gymnasium.spaces.Box(-1.0, 1.0, (2,)), role="observation"),
    "action_spec": space_spec(
        space=gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(-1.0, 1.0, (1,)))),
        role="action",
    ),
}
NETWORK = NetworkConfig(torso=MLPConfig(hidden=(8,)))


@register
def signs(observation: Any) -> Any:
    """What the expert does: the sign of one component, and half of the other."""
    return (observation[:, 0] > 0.0).astype(jnp.int32), 0.5 * observation[:, 1:]


EXPERT = ExpertFunction(function=signs)


@functools.cache
def _dagger(**changes: Any) -> DAgger:
    return DAggerConfig(expert=EXPERT, actor=NETWORK, batch_size=8, **changes).build(**SPECS)


@functools.cache
def _bc() -> BC:
    return BCConfig(actor=NETWORK, batch_size=8).build(**SPECS)


def _observation(rows: int, *, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (rows, 2)).astype(np.float32)


def _transitions(*, action: Any, extras: Any, observation: Any) -> Transitions:
    rows = len(observation)
    zeros, numbers = np.zeros(rows, np.float32), np.arange(rows, dtype=np.int32)
    return Transitions(
        observation=observation,
        action=action,
        reward=zeros,
        discount=zeros,
        next_observation=observation,
        weight=np.ones(rows, np.float32),
        extras=extras,
        origin=RowOrigin(
            source=0 * numbers, task=0 * numbers, slot=numbers, generation=0 * numbers, policy_version=0 * numbers
        ),
    )


def test_the_expert_labels_every_step_and_acts_in_its_share_of_them() -> None:
    learner = _dagger()
    state = learner.initial_state(key=jax.random.key(0))
    observation = _observation(2000)
    right = signs(observation)
    own = learner.policy.act(
        parameters=learner.policy_parameters(state=state),
        carry=(),
        observation=observation,
        is_first=jnp.zeros(2000, jnp.bool_),
        key=jax.random.key(1),
        mode=ActionMode.MODE,
    ).action
    act = jax.jit(learner.rollout_policy.act, static_argnames="mode", compiler_options=QUICK)
    for share in (0.0, 0.3, 1.0):
        output = act(
            parameters=GuidedParameters(
                learner=learner.policy_parameters(state=state), expert_share=jnp.asarray(share, jnp.float32)
            ),
            carry=learner.rollout_policy.initial_carry(batch_shape=(2000,)),
            observation=observation,
            is_first=np.zeros(2000, np.bool_),
            key=jax.random.key(2),
            mode=ActionMode.SAMPLE,
        )
        jax.tree.map(np.testing.assert_array_equal, output.extras[LABEL], right)
        # The numbers tell who acted: the expert's and the learner's are never equal here. σ of the share: 0.01.
        guided = np.asarray(output.action[1] == right[1])[:, 0]
        assert abs(guided.mean() - share) < 0.05
        np.testing.assert_allclose(np.asarray(output.action[1])[~guided], np.asarray(own[1])[~guided], rtol=1e-5)
        np.testing.assert_array_equal(np.asarray(output.action[0])[guided], np.asarray(right[0])[guided])


def test_the_share_follows_its_schedule_by_default_the_expert_until_there_is_a_policy() -> None:
    learner = _dagger()
    state = learner.initial_state(key=jax.random.key(0))
    shares = [
        float(learner.rollout_parameters(state=replace(state, updates=jnp.asarray(updates, jnp.int32))).expert_share)
        for updates in (0, 1, 9)
    ]
    assert shares == [1.0, 0.0, 0.0]
    slow = _dagger(expert_share=LinearSchedule(initial=0.8, final=0.0, updates=4))
    state = replace(state, updates=jnp.asarray(1, jnp.int32))
    np.testing.assert_allclose(slow.rollout_parameters(state=state).expert_share, 0.6, rtol=1e-6)


def test_labels_are_learned_and_not_what_was_done() -> None:
    # One update of DAgger on labels equals one of cloning on the same as actions, to the bit.
    observation = _observation(8)
    right, done = signs(jnp.asarray(observation)), signs(-jnp.asarray(observation))
    state, key = _bc().initial_state(key=jax.random.key(3)), jax.random.key(4)
    labelled = _transitions(action=done, extras={LABEL: right}, observation=observation)
    cloned, _ = jax.jit(_bc().update, compiler_options=QUICK)(
        state=state, batch=_transitions(action=right, extras={}, observation=observation), key=key
    )
    aggregated, output = jax.jit(_dagger().update, compiler_options=QUICK)(state=state, batch=labelled, key=key)
    jax.tree.map(np.testing.assert_array_equal, cloned, aggregated)
    misled, _ = jax.jit(_bc().update, compiler_options=QUICK)(state=state, batch=labelled, key=key)
    pairs = zip(jax.tree.leaves(misled.actor.parameters), jax.tree.leaves(cloned.actor.parameters), strict=True)
    assert any(bool(jnp.any(one != two)) for one, two in pairs)
    assert float(output.metrics["loss"]) > 0.0


def test_the_stream_is_learned_as_it_came_without_the_rows_in_which_nothing_was_done() -> None:
    learner: OnlineSupervised = OnlineSupervisedConfig(
        expert=EXPERT, actor=NETWORK, batch_size=4, steps=4, normalise_observations=True
    ).build(**SPECS)
    observation = _observation(5)[:, None]
    observation[2] = 0.9  # a final observation: of a row in which nothing was done
    is_last = np.asarray([[False], [False], [True], [False], [False]])
    right = jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], signs(jnp.asarray(observation[:-1, 0])))
    chunk = Trajectory(
        observation=observation,
        action=right,
        reward=np.zeros((4, 1), np.float32),
        terminated=np.zeros((4, 1), np.bool_),
        truncated=is_last[1:],
        is_first=np.roll(is_last, 1, axis=0),
        is_last=is_last,
        extras={LABEL: right},
    )
    state, rows = learner.ingest(state=learner.initial_state(key=jax.random.key(0)), chunk=chunk)
    np.testing.assert_array_equal(rows.observation, observation[:-1, 0])
    np.testing.assert_array_equal(rows.weight, [1.0, 1.0, 0.0, 1.0])
    jax.tree.map(lambda one, two: np.testing.assert_array_equal(one, two[:, 0]), rows.action, right)
    assert state.statistics is not None
    (moments,) = state.statistics.moments
    assert isinstance(moments, RunningMoments)
    np.testing.assert_allclose(moments.mean, observation[[0, 1, 3], 0].mean(axis=0), rtol=1e-5)
    # The expert acts, whatever the parameters.
    output = learner.rollout_policy.act(
        parameters=None,
        carry=(),
        observation=jnp.asarray(observation[:, 0]),
        is_first=jnp.zeros(5, jnp.bool_),
        key=jax.random.key(0),
        mode=ActionMode.SAMPLE,
    )
    jax.tree.map(np.testing.assert_array_equal, output.action, signs(jnp.asarray(observation[:, 0])))


def test_both_are_traced_once_and_learn_side_by_side() -> None:
    learner = _dagger()
    traces: list[str] = []

    def update(state: Any, batch: Any, key: jax.Array) -> Any:
        traces.append("update")
        return learner.update(state=state, batch=batch, key=key)[0]

    keys = jax.random.split(jax.random.key(0), 2)
    states = jax.vmap(lambda key: learner.initial_state(key=key))(keys)
    together = jax.jit(jax.vmap(update, in_axes=(0, None, 0)), compiler_options=QUICK)
    for seed in range(3):
        observation = _observation(8, seed=seed)
        label = signs(jnp.asarray(observation))
        states = together(states, _transitions(action=label, extras={LABEL: label}, observation=observation), keys)
    assert traces == ["update"]
    assert states.updates.tolist() == [3, 3]


def test_plans_and_refusals() -> None:
    plan = _dagger().data_plan
    assert isinstance(plan, ReplayPlan)
    assert not plan.random_warmup
    stream = OnlineSupervisedConfig(expert=EXPERT, steps=1, batch_size=1).data_plan
    assert stream == OnPolicyPlan(steps=1, minibatch_size=1, corrects_lag=True)
    for field, changes in (
        ("expert_share", {"expert_share": 1.5}),
        ("expert_share", {"expert_share": LinearSchedule(initial=1.0, final=-0.1, updates=3)}),
        ("warmup_steps", {"warmup_steps": -1}),
        ("batch_size", {"batch_size": 0}),
    ):
        with pytest.raises(ValueError, match=rf"DAggerConfig\.{field}="):
            DAggerConfig(expert=EXPERT, **changes)
    with pytest.raises(ValueError, match=r"OnlineSupervisedConfig\.steps="):
        OnlineSupervisedConfig(expert=EXPERT, steps=0)
