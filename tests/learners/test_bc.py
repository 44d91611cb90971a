"""Behavioural cloning: its loss by hand, the fit of a known mapping in every kind of action, what it must not do."""

import dataclasses
import functools
import math
from typing import Any

import gymnasium.spaces
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from triax.learners.bc import BC, BCConfig
from triax.learners.cloning import CloningState
from triax.learners.cloning.losses import AbsoluteError, Agreement, CloningInputs, cloning_loss
from triax.learners.interface import DatasetPlan, LearnerConfig, TransitionUnit
from triax.learners.optimizer import OptimizerConfig
from triax.learners.registry import registered
from triax.networks import Bernoulli, Categorical, Joint, MLPConfig, NetworkConfig, RunningMoments, SquashedGaussian
from triax.networks.actions import ActionCode
from triax.networks.choices import EnumeratedChoices
from triax.networks.multi_task import TaskDistribution
from triax.spaces import choice_table, space_spec
from triax.trees import Tree, replace
from triax.types import ActionMode, EnvironmentSpec, RowOrigin, Trajectory, Transitions, UpdateOutput

ROWS = 256
QUICK = {"xla_backend_optimization_level": 0}

OBSERVATION = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
BOX = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
ACTION = gymnasium.spaces.Dict(
    {
        "bits": gymnasium.spaces.MultiBinary(2),
        "rest": gymnasium.spaces.Tuple((gymnasium.spaces.MultiDiscrete([2, 3]), BOX, gymnasium.spaces.Discrete(4))),
    }
)


@functools.cache
def _learner(**changes: Any) -> BC:
    settings: dict[str, Any] = {
        "actor": NetworkConfig(torso=MLPConfig(hidden=(32,))),
        "optimizer": OptimizerConfig(learning_rate=0.01),
        "normalise_observations": True,
    } | changes
    return BCConfig(**settings).build(
        observation_spec=space_spec(space=OBSERVATION, role="observation"),
        action_spec=space_spec(space=ACTION, role="action"),
    )


def _expert(observation: np.ndarray) -> Tree:
    """What the expert does: everything follows the signs of the observation's components about 100."""
    first, second = (observation[:, 0] > 100.0).astype(np.int32), (observation[:, 1] > 100.0).astype(np.int32)
    # Exactly ±1, as experts with saturated controls have it, and something in between.
    move = np.stack([2.0 * first - 1.0, 0.25 - 0.5 * second], axis=-1).astype(np.float32)
    return {
        "bits": np.stack([first, 1 - second], axis=-1).astype(np.int8),
        "rest": (np.stack([second, 2 * first], axis=-1), move, 2 * first + second),
    }


def _batch(*, seed: int = 0, rows: int = ROWS) -> Transitions:
    generator = np.random.default_rng(seed)
    # Far off and on another scale than networks like it.
    observation = (100.0 + 5.0 * generator.normal(size=(rows, 2))).astype(np.float32)
    zeros, numbers = np.zeros(rows, np.float32), np.arange(rows, dtype=np.int32)
    return Transitions(
        observation=observation,
        action=_expert(observation),
        reward=zeros,
        discount=zeros,
        next_observation=observation,
        weight=np.ones(rows, np.float32),
        extras={},
        origin=RowOrigin(
            source=0 * numbers, task=0 * numbers, slot=numbers, generation=0 * numbers, policy_version=0 * numbers
        ),
    )


def _dataset(batch: Transitions) -> Trajectory:
    """The batch's rows as one recorded trajectory [R, 1], with a wild observation in a row without an action."""
    rows = len(batch.reward)
    is_last = np.zeros((rows + 1, 1), np.bool_)
    is_last[rows // 2] = True
    observation = np.concatenate([batch.observation, batch.observation[:1]])[:, None]
    observation[rows // 2] = 1e6
    return Trajectory(
        observation=observation,
        action=jax.tree.map(lambda leaf: leaf[:, None], batch.action),
        reward=batch.reward[:, None],
        terminated=np.zeros((rows, 1), np.bool_),
        truncated=is_last[1:],
        is_first=np.roll(is_last, 1, axis=0),
        is_last=is_last,
    )


@functools.cache
def _trained(learner: BC, updates: int) -> tuple[CloningState, UpdateOutput]:
    """Cloning on one batch; the outputs of all updates."""
    batch = jax.tree.map(jnp.asarray, _batch())
    dataset = jax.tree.map(jnp.asarray, _dataset(_batch()))

    def train(key: jax.Array) -> tuple[CloningState, UpdateOutput]:
        state = learner.initial_state(key=key)
        if learner.ingests:
            state, _ = learner.ingest(state=state, chunk=dataset)
        keys = jax.random.split(key, updates)
        return jax.lax.scan(lambda state, key: learner.update(state=state, batch=batch, key=key), state, keys)

    result: tuple[CloningState, UpdateOutput] = jax.jit(train, compiler_options=QUICK)(jax.random.key(0))
    return result


def _act(*, learner: BC, state: CloningState, observation: np.ndarray) -> Tree:
    act = jax.jit(learner.policy.act, static_argnames="mode", compiler_options=QUICK)
    result = act(
        parameters=learner.policy_parameters(state=state),
        carry=learner.policy.initial_carry(batch_shape=(len(observation),)),
        observation=observation,
        is_first=np.zeros(len(observation), np.bool_),
        key=jax.random.key(0),
        mode=ActionMode.MODE,
    )
    assert result.carry == ()
    assert result.extras == {}
    return result.action


@pytest.mark.parametrize("continuous_loss", ["squared_error", "likelihood"])
def test_fits_a_known_mapping_in_mixed_actions_also_at_the_bounds(continuous_loss: str) -> None:
    learner = _learner(continuous_loss=continuous_loss)
    state, outputs = _trained(learner, 300)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves((state, outputs)))
    # A policy that knows nothing agrees in ½ of the bits, (½ + ⅓) / 2 of the pair and ¼ of the choice: 0.389; its
    # continuous error, at 0, is (1 + 0.25) / 2 = 0.625.
    assert float(outputs.metrics["agreement"][0]) < 0.7
    assert float(outputs.metrics["absolute_error"][0]) > 0.4
    # On new data, as the policy acts.
    new = _batch(seed=1)
    action = _act(learner=learner, state=state, observation=new.observation)
    agreement = [np.mean(action["bits"] == new.action["bits"])]
    agreement += [np.mean(action["rest"][index] == new.action["rest"][index]) for index in (0, 2)]
    assert min(agreement) > 0.95
    assert np.mean(np.abs(action["rest"][1] - new.action["rest"][1])) < 0.1
    # Metrics say the same of the data that was learned from.
    assert float(outputs.metrics["agreement"][-1]) > 0.97
    assert float(outputs.metrics["absolute_error"][-1]) < 0.08
    assert float(outputs.metrics["loss"][-1]) < float(outputs.metrics["loss"][0])
    untrained = learner.held_out_loss(state=replace(state, actor=_untrained_actor(learner)), batch=new)
    assert math.isfinite(float(untrained))
    assert float(learner.held_out_loss(state=state, batch=new)) < float(untrained) - 1.0


def _untrained_actor(learner: BC) -> Any:
    return jax.jit(learner.initial_state, compiler_options=QUICK)(key=jax.random.key(0)).actor


def _distribution() -> Joint:
    """Two rows: a bit with p(1) = 0.8, choices with p = 0.5, 0.25, 0.25, and a Gaussian around tanh(0) and tanh(1)."""
    return Joint(
        parts={
            "bit": Bernoulli(logits=jnp.log(jnp.full((2, 1), 4.0)), shape=(1,)),
            "choice": Categorical(logits=jnp.log(jnp.array([[[2.0, 1.0, 1.0]]] * 2)), sizes=(3,), shape=()),
            "move": SquashedGaussian(mean=jnp.array([[0.0], [1.0]]), log_std=jnp.zeros((2, 1)), shape=(1,)),
        }
    )


ACTIONS = {
    "bit": jnp.array([[1], [0]], jnp.int8),
    "choice": jnp.array([0, 2], jnp.int32),
    "move": jnp.array([[0.5], [-1.0]]),
}


def test_loss_by_hand() -> None:
    # Row 0: −log 0.8 − log 0.5 + ½ · 0.5² = 0.2231436 + 0.6931472 + 0.125 = 1.0412907
    # Row 1: −log 0.2 − log 0.25 + ½ · (tanh 1 + 1)² = 1.6094379 + 1.3862944 + ½ · 1.7615942² = 4.5473394
    # Mean 2.7943150; with weights 3 and 1: (3 · 1.0412907 + 4.5473394) / 4 = 1.9178029.
    for weight, expected in (([1.0, 1.0], 2.7943150), ([3.0, 1.0], 1.9178029), ([0.0, 0.0], 0.0)):
        loss = cloning_loss(
            distribution=_distribution(),
            action=ACTIONS,
            weight=jnp.asarray(weight),
            continuous_loss="squared_error",
        )
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_likelihood_by_hand() -> None:
    # Row 0 alone: u = artanh 0.5 = 0.5493061, log N(u; 0, 1) = −0.9189385 − 0.1508686 = −1.0698071,
    # −log(1 − 0.25) = 0.2876821: the density's log is −0.7821251. Loss: 0.2231436 + 0.6931472 + 0.7821251 = 1.6984159
    loss = cloning_loss(
        distribution=_distribution(),
        action=ACTIONS,
        weight=jnp.array([1.0, 0.0]),
        continuous_loss="likelihood",
    )
    np.testing.assert_allclose(loss, 1.6984159, rtol=1e-5)


def test_trap_06_the_entropy_bonus_raises_the_entropy() -> None:
    plain, bonus = (_trained(_learner(entropy_coefficient=value), 30)[1].metrics for value in (0.0, 2.0))
    # The first update comes after the first row of metrics.
    np.testing.assert_allclose(plain["entropy"][0], bonus["entropy"][0], rtol=1e-5)
    np.testing.assert_allclose(plain["loss"][0], bonus["loss"][0], rtol=1e-5)
    assert float(bonus["entropy"][-1]) > float(plain["entropy"][-1]) + 0.5


@pytest.mark.parametrize("name", ["weight", "action"])
def test_trap_04_columns_in_a_batch_are_refused(name: str) -> None:
    action = ACTIONS | ({"move": ACTIONS["move"][:, None]} if name == "action" else {})
    weight = jnp.ones((2, 1) if name == "weight" else 2)
    unchecked = getattr(cloning_loss, "__wrapped__", cloning_loss)
    for continuous_loss in ("squared_error", "likelihood"):
        with pytest.raises((ValueError, TypeError), match=r"shape|Type-check"):
            unchecked(
                distribution=_distribution(),
                action=action,
                weight=weight,
                continuous_loss=continuous_loss,
            )


def test_trap_13_statistics_are_those_of_the_recorded_steps_in_learning_and_acting() -> None:
    learner = _learner()
    batch = _batch()
    state, prepared = learner.ingest(state=learner.initial_state(key=jax.random.key(0)), chunk=_dataset(batch))
    assert isinstance(prepared, Trajectory)
    assert learner.ingests
    # All rows but the one in the middle, in which no action was taken.
    recorded = np.delete(batch.observation, ROWS // 2, axis=0)
    assert state.statistics is not None
    (moments,) = state.statistics.moments
    assert isinstance(moments, RunningMoments)
    np.testing.assert_allclose(moments.mean, recorded.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, recorded.var(axis=0), rtol=1e-3)
    # The network sees standardised observations: where the network's part is the same, so is the action.
    parameters = learner.policy_parameters(state=state)
    assert parameters.statistics is not None
    shifted = replace(parameters, statistics=None)
    standard = parameters.statistics.normalise(observation=batch.observation)
    _assert_close(
        learner.policy.distribution(parameters=parameters, observation=batch.observation).mode(),
        learner.policy.distribution(parameters=shifted, observation=standard).mode(),
    )
    # And the held-out loss is that of what acting does.
    loss = cloning_loss(
        distribution=learner.policy.distribution(parameters=parameters, observation=batch.observation),
        action=jax.tree.map(jnp.asarray, batch.action),
        weight=jnp.asarray(batch.weight),
        continuous_loss=learner.config.continuous_loss,
    )
    np.testing.assert_allclose(learner.held_out_loss(state=state, batch=batch), loss, rtol=1e-5)


def test_without_normalisation_there_is_nothing_to_ingest() -> None:
    learner = _learner(normalise_observations=False)
    assert not learner.ingests
    assert learner.initial_state(key=jax.random.key(0)).statistics is None


def _assert_close(first: Tree, second: Tree, *, atol: float = 1e-5) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.0, atol=atol), first, second)


def test_updates_are_traced_once_and_seeds_side_by_side_equal_single_runs() -> None:
    learner = _learner()
    traces = []

    def update(state: CloningState, batch: Transitions, key: jax.Array) -> CloningState:
        traces.append("update")
        return learner.update(state=state, batch=batch, key=key)[0]

    def initial_state(key: jax.Array) -> CloningState:
        return learner.initial_state(key=key)

    initial = jax.jit(jax.vmap(initial_state), compiler_options=QUICK)
    keys = jax.random.split(jax.random.key(5), 3)
    batches = [_batch(seed=seed, rows=8) for seed in range(3)]
    single = jax.jit(update, donate_argnums=0, compiler_options=QUICK)
    together = jax.jit(jax.vmap(update, in_axes=(0, None, 0)), donate_argnums=0, compiler_options=QUICK)
    states, one = initial(keys), jax.tree.map(lambda leaf: leaf[1], initial(keys))
    for batch in batches:
        states, one = together(states, batch, keys), single(one, batch, keys[1])
    assert traces == ["update", "update"]
    _assert_close(jax.tree.map(lambda leaf: leaf[1], states), one)
    again = jax.tree.map(lambda leaf: leaf[1], initial(keys))
    for batch in batches:
        again = single(again, batch, keys[1])
    _assert_close(again, one, atol=0.0)
    weights = jax.tree.leaves(states.actor.parameters)[1]
    assert float(jnp.max(jnp.abs(weights[0] - weights[1]))) > 1e-3


def test_a_batch_without_weight_moves_nothing() -> None:
    learner = _learner(entropy_coefficient=0.5)
    state = learner.initial_state(key=jax.random.key(0))
    batch = replace(_batch(rows=8), weight=np.zeros(8, np.float32))
    new_state, output = jax.jit(learner.update, compiler_options=QUICK)(state=state, batch=batch, key=jax.random.key(0))
    _assert_close(new_state.actor.parameters, state.actor.parameters, atol=0.0)
    assert float(output.metrics["loss"]) == 0.0


def test_config_is_registered_says_its_plan_and_refuses_nonsense() -> None:
    config = BCConfig()
    assert isinstance(config, LearnerConfig)
    assert registered("triax.learners.bc.config:BCConfig") is BCConfig
    assert _learner().data_plan == DatasetPlan(
        batch_size=256,
        unit=TransitionUnit(discount=0.0, steps=1),
        held_out_fraction=0.1,
        held_out_interval=500,
        patience=10,
    )
    assert _learner().extras_spec == {}
    wrong: tuple[tuple[str, Any], ...] = (
        ("held_out_fraction", 1.0),
        ("patience", 0),
        ("continuous_loss", "absolute"),
        ("entropy_coefficient", -1.0),
    )
    # The tests' annotation checker refuses a wrong word before the config does.
    for name, value in wrong:
        with pytest.raises((ValueError, TypeError), match=name):
            dataclasses.replace(config, **{name: value})


def test_what_the_experts_choice_does_not_use_is_not_compared() -> None:
    parts = gymnasium.spaces.Tuple([gymnasium.spaces.Box(-1.0, 1.0, (1,)), gymnasium.spaces.Box(-1.0, 1.0, (1,))])
    spec = EnvironmentSpec.of_spaces(
        observation=OBSERVATION, action=gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(2), parts])
    )
    table = choice_table(spec=spec.action, limit=2)
    assert table is not None
    distribution = EnumeratedChoices(
        log_probabilities=jnp.log(jnp.array([[0.1, 0.9]])),
        mean=jnp.arctanh(jnp.array([[[0.9, 0.9], [0.9, 0.25]]])),
        log_std=jnp.zeros((1, 2, 2)),
        code=ActionCode(spec=spec.action, observation_spec=spec.observation),
        table=table,
    )
    # The policy's deterministic action is the choice 1 with 0.25; the expert's other number belongs to the choice 0.
    inputs = CloningInputs(
        distribution=distribution,
        action=(jnp.array([1]), (jnp.array([[-1.0]]), jnp.array([[0.75]]))),
        weight=jnp.ones(1),
        task=jnp.zeros(1, jnp.int32),
        parameters=(),
        key=jax.random.key(0),
    )
    assert float(Agreement().value(inputs)) == 1.0
    assert float(AbsoluteError().value(inputs)) == pytest.approx((0.0 + 0.5) / 2, abs=1e-6)


def test_what_a_choice_does_not_use_counts_in_no_error_whatever_has_several_heads() -> None:
    parameter = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    spec = EnvironmentSpec.of_spaces(
        observation=gymnasium.spaces.Box(-1.0, 1.0, (3,)),
        action=gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2), gymnasium.spaces.Tuple((parameter, parameter)))),
    )
    learner = BCConfig(actor=NetworkConfig(torso=MLPConfig(hidden=(8,)))).build(
        observation_spec=spec.observation, action_spec=spec.action
    )
    observation = jnp.asarray(np.random.default_rng(0).uniform(-1.0, 1.0, (6, 3)), jnp.float32)
    distribution = learner.actor.bind(parameters=learner.actor.initial_parameters(key=jax.random.key(0)))(observation)
    choice, (first, second) = distribution.mode()
    # What the policy does itself, with other numbers where its choice looks at none.
    expert = (choice, (jnp.where(choice[:, None] == 0, first, 0.9), jnp.where(choice[:, None] == 1, second, -0.7)))
    of_tasks = TaskDistribution(of_task=(distribution,), task=jnp.zeros(6, jnp.int32))
    for each in (distribution, of_tasks):
        inputs = CloningInputs(
            distribution=each,
            action=expert,
            weight=jnp.ones(6),
            task=jnp.zeros(6, jnp.int32),
            parameters=(),
            key=jax.random.key(0),
        )
        assert float(AbsoluteError().value(inputs)) == 0.0
        assert float(Agreement().value(inputs)) == 1.0
