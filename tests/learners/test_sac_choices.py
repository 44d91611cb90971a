"""SAC where actions mix choices and parameters: known soft-optimal policies, gradients, masks, and what must fail."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from gymnasium import spaces

from triax.learners.optimizer import OptimizerConfig
from triax.learners.sac import SAC, SACConfig, SACState
from triax.learners.sac.losses import target_choice_entropy
from triax.networks import (
    ActionHeadConfig,
    ChoiceDistribution,
    EncoderConfig,
    EnumeratedChoices,
    MLPConfig,
    NetworkConfig,
    SetEncoderConfig,
)
from triax.random import derive_key
from triax.spaces import ElementOf, MaskOf, SetOf, UsedBy
from triax.trees import replace
from triax.types import ActionMode, EnvironmentSpec, RowOrigin, Transitions

KEY = derive_key(seed=0, name=("test of SAC with choices",))
CURVATURE = 4.0
BATCH = 256


def built(config: SACConfig, spec: EnvironmentSpec) -> SAC:
    sac = config.build(observation_spec=spec.observation, action_spec=spec.action)
    assert isinstance(sac, SAC)
    return sac


def batch_of(*, observation: Any, action: Any, reward: Any, discount: Any, next_observation: Any) -> Transitions:
    rows = reward.shape[0]
    zeros = jnp.zeros(rows, jnp.int32)
    return Transitions(
        observation=observation,
        action=action,
        reward=reward,
        discount=discount,
        next_observation=next_observation,
        weight=jnp.ones(rows),
        extras={},
        origin=RowOrigin(source=zeros, task=zeros, slot=zeros, generation=zeros, policy_version=zeros),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A choice of two with one parameter, in each of some states: r = bonus[state, k] − 4 (c − best[state, k])².

    The choice k leads from state 0 to state 1 + k if there are further states, which end the episode.
    """

    bonus: tuple[tuple[float, float], ...]
    best: tuple[tuple[float, float], ...]

    def transitions(self, key: jax.Array) -> Transitions:
        state_key, choice_key, parameter_key = jax.random.split(key, 3)
        states = len(self.bonus)
        state = jax.random.randint(state_key, (BATCH,), 0, states)
        choice = jax.random.randint(choice_key, (BATCH,), 0, 2)
        parameter = jax.random.uniform(parameter_key, (BATCH, 1), minval=-1.0, maxval=1.0)
        reward = jnp.asarray(self.bonus)[state, choice]
        reward -= CURVATURE * jnp.square(parameter[:, 0] - jnp.asarray(self.best)[state, choice])
        goes_on = (state == 0) & (states > 1)
        following = jnp.where(goes_on, 1 + choice, state)
        return batch_of(
            observation=jax.nn.one_hot(state, states),
            action={"choice": choice, "move": parameter},
            reward=reward,
            discount=jnp.where(goes_on, 0.9, 0.0),
            next_observation=jax.nn.one_hot(following, states),
        )

    def spec(self) -> EnvironmentSpec:
        return EnvironmentSpec.of_spaces(
            observation=spaces.Box(0.0, 1.0, (len(self.bonus),)),
            action=spaces.Dict(choice=spaces.Discrete(2), move=spaces.Box(-1.0, 1.0, (1,))),
        )


BANDIT = Problem(bonus=((0.3, 0.0),), best=((0.5, -0.4),))
TWO_STEPS = Problem(bonus=((0.0, 0.1), (0.2, 0.0), (0.0, 0.25)), best=((0.4, -0.4), (-0.2, 0.3), (0.0, 0.5)))


def small_config(**changes: Any) -> SACConfig:
    network = NetworkConfig(torso=MLPConfig(hidden=(64, 64), activation="tanh"))
    optimizer = OptimizerConfig(learning_rate=3e-3, schedule="linear", final_learning_rate=1e-5, schedule_updates=4000)
    return SACConfig(
        **{
            "actor": network,
            "critic": network,
            "actor_optimizer": optimizer,
            "critic_optimizer": optimizer,
            "temperature_optimizer": optimizer,
            "batch_size": BATCH,
            "initial_temperature": 0.2,
            "target_rate": 0.02,
            **changes,
        }
    )


def learned(problem: Problem, config: SACConfig, *, updates: int = 4000) -> tuple[SAC, SACState]:
    sac = built(config, problem.spec())

    @jax.jit
    def run(state: SACState) -> SACState:
        def one(state: SACState, number: jax.Array) -> tuple[SACState, None]:
            data_key, key = jax.random.split(jax.random.fold_in(KEY, number))
            return sac.update(state=state, batch=problem.transitions(data_key), key=key)[0], None

        return jax.lax.scan(one, state, jnp.arange(updates))[0]

    return sac, run(sac.initial_state(key=KEY))


def policy_of(sac: SAC, state: SACState, states: int) -> EnumeratedChoices:
    distribution = sac.actor.bind(parameters=state.actor.parameters)(jnp.eye(states))
    assert isinstance(distribution, EnumeratedChoices)
    return distribution


def softmax_temperature(values: np.ndarray, entropy: float) -> float:
    """The temperature at which a softmax of values has an entropy."""

    def excess(logarithm: float) -> float:
        p = scipy.special.softmax(values / np.exp(logarithm))
        return float(np.sum(scipy.special.entr(p)) - entropy)

    return float(np.exp(scipy.optimize.brentq(excess, -8.0, 3.0)))


@pytest.mark.slow
def test_a_bandit_with_learned_temperatures_has_the_soft_optimal_policy() -> None:
    # Given the choice, the best density is a Gaussian of variance α / (2 · 4) around the best parameter, and its
    # entropy ½ log(2πe α/8). With a target of −1 nat that gives α; its soft value is bonus − α/2 + α · (−1)·(−1)…:
    # r − α log π = bonus − α/2 − α. Both choices pay the same for it.
    target, choice_target = -1.0, 0.5
    temperature = 2.0 * CURVATURE / (2.0 * np.pi * np.e) * np.exp(2.0 * target)
    values = np.array(BANDIT.bonus[0])
    choice_temperature = softmax_temperature(values, choice_target)
    sac, state = learned(BANDIT, small_config(target_entropy=target, target_choice_entropy=choice_target))
    policy = policy_of(sac, state, 1)
    probability = np.exp(np.asarray(policy.log_probabilities[0]))
    expected = scipy.special.softmax(values / choice_temperature)
    assert 0.5 * np.sum(np.abs(probability - expected)) <= 0.02
    np.testing.assert_allclose(np.tanh(policy.mean[0, :, 0]), BANDIT.best[0], atol=0.02)
    temperatures = state.temperature.parameters
    assert float(jnp.exp(temperatures.continuous)) == pytest.approx(temperature, rel=0.05)
    assert float(jnp.exp(temperatures.choices)) == pytest.approx(choice_temperature, rel=0.05)


@pytest.mark.slow
def test_two_steps_have_the_soft_optimal_policy() -> None:
    temperature = 0.06
    config = small_config(initial_temperature=temperature, learn_temperature=False)
    sac, state = learned(TWO_STEPS, config)
    policy = policy_of(sac, state, 3)
    # The soft value of a parameter: α log ∫ exp(−4 (c − best)² / α) dc, which ends before the bounds.
    parameter_value = temperature * 0.5 * np.log(np.pi * temperature / CURVATURE)
    bonus = np.array(TWO_STEPS.bonus) + parameter_value
    later = temperature * scipy.special.logsumexp(bonus[1:] / temperature, axis=1)
    values = np.stack([bonus[0] + 0.9 * later, bonus[1], bonus[2]])
    expected = scipy.special.softmax(values / temperature, axis=1)
    probability = np.exp(np.asarray(policy.log_probabilities))
    assert np.max(0.5 * np.sum(np.abs(probability - expected), axis=1)) <= 0.02
    np.testing.assert_allclose(np.tanh(policy.mean[..., 0]), TWO_STEPS.best, atol=0.02)


@pytest.mark.slow
def test_parameters_that_do_not_see_the_choice_fail_as_they_must() -> None:
    head = ActionHeadConfig(parameters_see_choice=False)
    sac, state = learned(
        BANDIT, small_config(target_entropy=-1.0, target_choice_entropy=0.5, actor_head=head), updates=3000
    )
    policy = policy_of(sac, state, 1)
    chosen = np.tanh(np.asarray(policy.mean[0, :, 0]))
    # One parameter for both: between the best ones, at their mean weighted by how often each is chosen.
    assert chosen[0] == chosen[1]
    probability = np.exp(np.asarray(policy.log_probabilities[0]))
    assert chosen[0] == pytest.approx(float(probability @ np.array(BANDIT.best[0])), abs=0.06)
    assert np.max(np.abs(chosen - np.array(BANDIT.best[0]))) > 0.3


def test_the_actors_gradient_is_that_of_the_expected_value() -> None:
    # J(θ) = Σ_k π(k) (∫ π(c|k) (Q(k, c) − α log π(c|k)) dc) + α_k H, by quadrature and finite differences, against the
    # mean of sampled gradients. The head's weights are θ; the critic is what it was made to be.
    linear = NetworkConfig(torso=MLPConfig(hidden=()))
    config = small_config(
        actor=linear,
        actor_head=ActionHeadConfig(initial_log_std=-1.0),
        critic=NetworkConfig(torso=MLPConfig(hidden=(8,), activation="tanh")),
        critics=1,
    )
    sac = built(config, BANDIT.spec())
    state = sac.initial_state(key=KEY)
    critic = state.critics.parameters[0]
    parameters = jax.tree.map(lambda leaf: leaf + 0.3, state.actor.parameters)
    rows = 40_000
    # Evenly spaced before tanh, since the density can be steep at the bounds.
    before = np.linspace(-6.0, 6.0, 2001)
    grid, slope = np.tanh(before).astype(np.float32), 1.0 - np.square(np.tanh(before))

    def critic_at(choice: int, parameter: Any) -> jax.Array:
        action = {"choice": jnp.full(parameter.shape, choice), "move": parameter[:, None]}
        value: jax.Array = sac.critic.bind(parameters=critic).of_action(jnp.ones((len(parameter), 1)), action)
        return value

    values = [np.asarray(critic_at(choice, jnp.asarray(grid)), np.float64) for choice in range(2)]

    @jax.jit
    def densities(given: Any) -> tuple[jax.Array, jax.Array]:
        distribution = sac.actor.bind(parameters=given)(jnp.ones((len(grid), 1)))
        logs = [
            distribution.log_prob(action={"choice": jnp.full(len(grid), choice), "move": jnp.asarray(grid)[:, None]})
            for choice in range(2)
        ]
        assert isinstance(distribution, EnumeratedChoices)
        return distribution.log_probabilities[0], jnp.stack(logs)

    def expected(given: Any) -> float:
        choice, joint = (np.asarray(value, np.float64) for value in densities(given))
        total = 0.0
        for k in range(2):
            log_density = joint[k] - choice[k]
            inner = np.trapezoid(slope * np.exp(log_density) * (values[k] - 0.2 * log_density), before)
            total += np.exp(choice[k]) * (inner - 0.2 * choice[k])
        return float(total)

    @jax.jit
    @jax.grad
    def sampled_gradient(given: Any) -> jax.Array:
        distribution = sac.actor.bind(parameters=given)(jnp.ones((rows, 1)))
        assert isinstance(distribution, ChoiceDistribution)
        candidates = distribution.candidates(key=KEY)
        at = sac.critic.bind(parameters=critic)(jnp.ones((rows, 1)), candidates.choices, candidates.parameters)
        soft = jnp.sum(candidates.weight * (at - 0.2 * candidates.log_probability), axis=-1)
        return jnp.mean(soft + 0.2 * candidates.choice_entropy)

    gradient = np.asarray(sampled_gradient(parameters)["head"]["linear"]["bias"])
    bias = parameters["head"]["linear"]["bias"]
    assert bias.shape == (6,)
    for index in range(6):
        step = 0.02

        def moved(by: float, index: int = index) -> Any:
            return {**parameters, "head": {"linear": {**parameters["head"]["linear"], "bias": bias.at[index].add(by)}}}

        difference = (expected(moved(step)) - expected(moved(-step))) / (2.0 * step)
        assert gradient[index] == pytest.approx(difference, abs=0.006), index


# What is not used


MOVES = EnvironmentSpec.of_spaces(
    observation=spaces.Box(-1.0, 1.0, (2,)),
    action=spaces.Dict(choice=spaces.Discrete(3), move=spaces.Box(-1.0, 1.0, (2,))),
    relations=tuple(UsedBy(parameter="move", component=i, choice="choice", options=(i,)) for i in range(2)),
)


@functools.cache
def updated(changed: bool) -> Any:
    """One update, where parameters that are not used have other values."""
    sac = built(SACConfig(actor=SMALL, critic=SMALL, batch_size=6), MOVES)
    generator = np.random.default_rng(0)
    move = generator.uniform(-1.0, 1.0, (6, 2)).astype(np.float32)
    choice = np.array([0, 1, 2, 0, 1, 2], np.int32)
    if changed:
        unused = np.array([[0, 1], [1, 0], [1, 1]], np.float32)[choice]
        move = np.where(unused == 1.0, -move, move)
    batch = batch_of(
        observation=np.ones((6, 2), np.float32),
        action={"choice": choice, "move": move},
        reward=np.arange(6.0, dtype=np.float32),
        discount=np.full(6, 0.9, np.float32),
        next_observation=np.ones((6, 2), np.float32),
    )
    return jax.jit(lambda state: sac.update(state=state, batch=batch, key=KEY))(sac.initial_state(key=KEY))


SMALL = NetworkConfig(
    encoder=EncoderConfig(set=SetEncoderConfig(blocks=1, units=8, heads=2)), torso=MLPConfig(hidden=(8,))
)


def test_parameters_that_the_choice_does_not_use_make_no_difference() -> None:
    jax.tree.map(np.testing.assert_array_equal, updated(False)[0], updated(True)[0])


def test_trap_05_both_temperatures_are_reported_and_move() -> None:
    state, output = updated(False)
    assert float(output.metrics.temperature) == float(output.metrics.choice_temperature) == 1.0
    assert 0.0 < float(output.metrics.choice_entropy) <= np.log(3.0) + 1e-6
    temperatures = state.temperature.parameters
    # A new policy has more than a third of the highest entropy, and more than −1 nat a parameter: both fall.
    assert float(temperatures.choices) == pytest.approx(-3e-4, rel=1e-2)
    assert float(temperatures.continuous) == pytest.approx(-3e-4, rel=1e-2)


# Targets


MANY_CHOICES = EnvironmentSpec.of_spaces(
    observation=spaces.Box(-1.0, 1.0, (2,)), action=spaces.MultiDiscrete([9, 9, 9])
)

EXCLUSIVE = EnvironmentSpec.of_spaces(
    observation=spaces.Box(-1.0, 1.0, (2,)),
    action=spaces.Dict(operation=spaces.Discrete(2), left=spaces.Discrete(50), right=spaces.Discrete(50)),
    relations=(
        UsedBy(parameter="left", choice="operation", options=(0,)),
        UsedBy(parameter="right", choice="operation", options=(1,)),
    ),
)


@pytest.mark.parametrize(
    ("spec", "targets", "highest"),
    [
        # Three choices; the first two use one parameter each, the third none.
        (MOVES, {"target_choice_entropy": np.log(3.0)}, np.log(3.0)),
        (MOVES, {"target_entropy": np.log(2.0)}, np.log(2.0)),
        # 9³ choices are too many to be listed.
        (MANY_CHOICES, {"target_choice_entropy": 3.0 * np.log(9.0)}, 3.0 * np.log(9.0)),
        # 50 or 50 choices: 100, not 2 · 50 · 50.
        (EXCLUSIVE, {"target_choice_entropy": np.log(101.0)}, np.log(100.0)),
        (BANDIT.spec(), {"target_choice_entropy": -3.0}, np.log(2.0)),
        (BANDIT.spec(), {"target_choice_entropy": 0.0}, np.log(2.0)),
        (BANDIT.spec(), {"target_entropy": 50.0}, np.log(2.0)),
    ],
)
def test_trap_05_a_target_that_no_policy_reaches_is_refused(
    spec: EnvironmentSpec, targets: dict[str, float], highest: float
) -> None:
    (field,) = targets
    with pytest.raises(ValueError, match=rf"SACConfig\.{field}=.* is out of reach.* {highest:.4g} nats.* or None"):
        built(small_config(**targets), spec)
    built(small_config(**{field: 0.9 * highest}), spec)


@pytest.mark.parametrize(
    ("spec", "highest"), [(MOVES, np.log(3.0)), (MANY_CHOICES, 3.0 * np.log(9.0)), (EXCLUSIVE, np.log(100.0))]
)
def test_trap_05_the_target_of_choices_is_a_share_of_the_highest_entropy(spec: EnvironmentSpec, highest: float) -> None:
    sac = built(SACConfig(actor=SMALL, critic=SMALL), spec)
    distribution = sac.actor.bind(parameters=sac.initial_state(key=KEY).actor.parameters)(jnp.ones((2, 2)))
    assert isinstance(distribution, ChoiceDistribution)
    candidates = distribution.candidates(key=KEY)
    np.testing.assert_allclose(
        target_choice_entropy(candidates=candidates, config=sac.config), 0.3 * highest, rtol=1e-6
    )


# Spaces


OBSERVED = spaces.Dict(things=SetOf(spaces.Box(-1.0, 1.0, (3,)), 4, 0), mask=MaskOf("operation", 3))
SPACES: dict[str, tuple[Any, Any, tuple[UsedBy, ...]]] = {
    "discrete": (spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(3), ()),
    "many choices": (spaces.Box(-1.0, 1.0, (2,)), spaces.MultiDiscrete([9, 9, 9]), ()),
    "many choices that exclude each other": (
        spaces.Box(-1.0, 1.0, (2,)),
        spaces.Dict(operation=spaces.Discrete(2), left=spaces.Discrete(50), right=spaces.Discrete(50)),
        (
            UsedBy(parameter="left", choice="operation", options=(0,)),
            UsedBy(parameter="right", choice="operation", options=(1,)),
        ),
    ),
    "one option": (spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(1), ()),
    "one element": (
        spaces.Dict(things=SetOf(spaces.Box(-1.0, 1.0, (3,)), 1)),
        spaces.Dict(which=ElementOf("things", 1)),
        (),
    ),
    "bits and a tuple": (
        spaces.Box(-1.0, 1.0, (2,)),
        spaces.Tuple([spaces.MultiBinary(2), spaces.Dict(a=spaces.Box(0.0, 5.0, (1, 2)))]),
        (),
    ),
    "elements": (
        OBSERVED,
        spaces.Dict(operation=spaces.Discrete(3), which=ElementOf("things", 4), how=spaces.Box(-1.0, 1.0, (2,))),
        (
            UsedBy(parameter="which", choice="operation", options=(1,)),
            UsedBy(parameter="how", choice="operation", options=(1, 2)),
        ),
    ),
}


@pytest.mark.parametrize("name", list(SPACES))
def test_an_update_and_actions_in_every_kind_of_space(name: str) -> None:
    observation, action, relations = SPACES[name]
    spec = EnvironmentSpec.of_spaces(observation=observation, action=action, relations=relations)
    sac = built(SACConfig(actor=SMALL, critic=SMALL, batch_size=4), spec)
    observation.seed(0)
    action.seed(0)
    seen = [observation.sample() for _ in range(4)]
    if name == "elements":
        seen = [{**value, "mask": np.array([1, len(value["things"]) > 0, 1], np.int8)} for value in seen]
    inside = spec.observation.stack_to_inside(seen)
    batch = batch_of(
        observation=inside,
        action=spec.action.stack_to_inside([action.sample() for _ in range(4)]),
        reward=np.ones(4, np.float32),
        discount=np.full(4, 0.9, np.float32),
        next_observation=inside,
    )
    state = sac.initial_state(key=KEY)
    new_state, _ = jax.jit(lambda given: sac.update(state=given, batch=batch, key=KEY))(state)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(new_state))
    for old, new in ((state.actor, new_state.actor), (state.critics, new_state.critics)):
        changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), old.parameters, new.parameters)
        assert all(jax.tree.leaves(changed)) or name in ("elements", "one option", "one element")
    result = sac.policy.act(
        parameters=sac.policy_parameters(state=new_state),
        carry=(),
        observation=inside,
        is_first=jnp.zeros(4, jnp.bool_),
        key=KEY,
        mode=ActionMode.SAMPLE,
    )
    for chosen, value in zip(spec.action.unstack_to_outside(jax.device_get(result.action)), seen, strict=True):
        assert action.contains(chosen)
        if name == "elements" and chosen["operation"] == 1:
            assert chosen["which"] < len(value["things"])


def test_the_order_of_the_elements_makes_no_difference() -> None:
    observation, action, relations = SPACES["elements"]
    spec = EnvironmentSpec.of_spaces(observation=observation, action=action, relations=relations)
    sac = built(SACConfig(actor=SMALL, critic=SMALL), spec)
    state = sac.initial_state(key=KEY)
    things = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 3)).astype(np.float32)
    order = np.array([2, 0, 1])
    mask = np.ones(3, np.int8)
    inside = spec.observation.stack_to_inside(
        [{"things": things, "mask": mask}, {"things": things[order], "mask": mask}]
    )
    distribution = jax.jit(lambda given: sac.actor.bind(parameters=given)(inside))(state.actor.parameters)
    # Stop, edit 0 to 3, add: the edits change places.
    places = np.array([0, *(1 + order), 4, 5])
    first, second = np.asarray(distribution.log_probabilities)
    np.testing.assert_allclose(second, first[places], atol=1e-5)
    assert first[4] == -np.inf
    np.testing.assert_allclose(distribution.mean[1], np.asarray(distribution.mean[0])[places], atol=1e-5)
    chosen = {
        "operation": np.ones(2, np.int32),
        "which": np.array([0, 1], np.int32),
        "how": np.full((2, 2), 0.5, np.float32),
    }
    values = sac.critic.bind(parameters=state.critics.parameters[0]).of_action(inside, chosen)
    np.testing.assert_allclose(values[0], values[1], atol=1e-5)
    other = sac.critic.bind(parameters=state.critics.parameters[0]).of_action(
        inside, {**chosen, "which": np.array([1, 1], np.int32)}
    )
    assert abs(float(other[0] - other[1])) > 1e-5


def test_a_replaced_mask_changes_the_target() -> None:
    # Forbidding an option in the next observation takes it out of the expectation there.
    spec = EnvironmentSpec.of_spaces(
        observation=spaces.Dict(mask=MaskOf("", 2), x=spaces.Box(-1.0, 1.0, (1,))), action=spaces.Discrete(2)
    )
    sac = built(SACConfig(actor=SMALL, critic=SMALL, learn_temperature=False, initial_temperature=1e-6), spec)
    state = sac.initial_state(key=KEY)
    lower = jnp.asarray(np.array([[0.0], [-10.0]], np.float32))
    critics = tuple(
        {**critic, "torso": jax.tree.map(jnp.zeros_like, critic["torso"])} for critic in state.target_critics
    )
    # Weights that see the mask's bits, x, then the two options: relu(−k₁ · w) gives the second option its value.
    kernel = jnp.zeros((5, 8)).at[3:, 0].set(-lower[:, 0])
    critics = tuple(
        {
            **critic,
            "torso": {"layers": {0: {"kernel": kernel, "bias": jnp.zeros(8)}}},
            "output": {"kernel": jnp.zeros((8, 1)).at[0, 0].set(1.0), "bias": jnp.zeros(1)},
        }
        for critic in critics
    )
    state = replace(state, target_critics=critics)

    def target(mask: list[int]) -> float:
        following = {"mask": np.tile(np.array(mask, np.int8), (4, 1)), "x": np.zeros((4, 1), np.float32)}
        batch = batch_of(
            observation=following,
            action=np.zeros(4, np.int32),
            reward=np.zeros(4, np.float32),
            discount=np.ones(4, np.float32),
            next_observation=following,
        )
        return float(sac.update(state=state, batch=batch, key=KEY)[1].metrics.target_value)

    assert target([1, 0]) == pytest.approx(0.0, abs=1e-4)
    assert target([0, 1]) == pytest.approx(10.0, abs=1e-4)
    assert 0.0 < target([1, 1]) < 10.0
