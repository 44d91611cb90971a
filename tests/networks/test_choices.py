"""Distributions over choices and their parameters: by hand, and against sums and integrals over everything."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from gymnasium import spaces

from triax.networks.actions import ActionCode
from triax.networks.choices import EnumeratedChoices, FactoredChoices
from triax.random import derive_key
from triax.spaces import ElementOf, MaskOf, SetOf, UsedBy, choice_table
from triax.trees import replace
from triax.types import EnvironmentSpec

KEY = derive_key(seed=0, name=("test of choices",))
POSITION = spaces.Box(-1.0, 1.0, (2,))
PARAMETERISED = spaces.Tuple(
    [spaces.Discrete(2), spaces.Tuple([spaces.Box(-1.0, 1.0, (2,)), spaces.Box(-1.0, 1.0, (1,))])]
)
MANY = spaces.Dict(a=spaces.Discrete(2), b=spaces.MultiDiscrete([2, 3]), c=spaces.Box(-1.0, 1.0, (2,)))
MANY_RELATIONS = (
    UsedBy(parameter="b", choice="a", options=(1,), component=1),
    UsedBy(parameter="c", choice="a", options=(0,), component=0),
)


def code_of(action: Any, observation: Any = POSITION, relations: tuple[UsedBy, ...] = ()) -> ActionCode:
    spec = EnvironmentSpec.of_spaces(observation=observation, action=action, relations=relations)
    return ActionCode(spec=spec.action, observation_spec=spec.observation)


def enumerated(*, batch: int = 1) -> EnumeratedChoices:
    code = code_of(PARAMETERISED)
    table = choice_table(spec=code.spec, limit=9)
    assert table is not None
    logits = jnp.tile(jnp.asarray([0.2, 1.1]), (batch, 1))
    mean = jnp.tile(jnp.asarray([[0.3, -0.5, 9.0], [9.0, 9.0, 0.8]]), (batch, 1, 1))
    log_std = jnp.tile(jnp.asarray([[-0.4, -1.0, 5.0], [5.0, 5.0, -0.2]]), (batch, 1, 1))
    return EnumeratedChoices(
        log_probabilities=jax.nn.log_softmax(logits), mean=mean, log_std=log_std, code=code, table=table
    )


def factored(*, batch: int = 1) -> FactoredChoices:
    code = code_of(MANY, relations=MANY_RELATIONS)
    logits = jnp.asarray([[0.3, -0.2, -jnp.inf], [0.0, 0.7, -jnp.inf], [0.1, 0.5, -0.4]])
    return FactoredChoices(
        log_probabilities=jnp.tile(jax.nn.log_softmax(logits), (batch, 1, 1)),
        mean=jnp.tile(jnp.asarray([0.2, -0.1]), (batch, 1)),
        log_std=jnp.tile(jnp.asarray([-0.5, -0.9]), (batch, 1)),
        mean_of_choices=jnp.linspace(-0.5, 0.5, 14).reshape(7, 2),
        samples=2,
        code=code,
    )


def log_density(*, value: float, mean: float, log_std: float) -> float:
    """Of tanh of a Gaussian, from its definition."""
    gaussian = scipy.stats.norm(mean, np.exp(log_std)).logpdf(np.arctanh(value))
    return float(gaussian - np.log1p(-(value**2)))


# Actions as numbers


def test_what_is_not_used_is_zero() -> None:
    code = code_of(MANY, relations=MANY_RELATIONS)
    actions = {
        "a": np.array([0, 1], np.int32),
        "b": np.array([[1, 2], [0, 1]], np.int32),
        "c": np.array([[0.5, -0.5], [0.25, 0.75]], np.float32),
    }
    choices = code.choices(action=actions)
    np.testing.assert_array_equal(choices, [[1, 0, 0, 1, 0, 0, 0], [0, 1, 1, 0, 0, 1, 0]])
    np.testing.assert_array_equal(code.continuous(action=actions, choices=choices), [[0.5, -0.5], [0.0, 0.75]])


def test_relations_of_relations_count() -> None:
    # c is used where b is 1, and b where a is 1.
    space = spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2), c=spaces.Box(-1.0, 1.0, (1,)))
    code = code_of(
        space,
        relations=(UsedBy(parameter="b", choice="a", options=(1,)), UsedBy(parameter="c", choice="b", options=(1,))),
    )
    rows = list(itertools.product([0, 1], [0, 1]))
    actions = {
        "a": np.array([a for a, _ in rows]),
        "b": np.array([b for _, b in rows]),
        "c": np.full((4, 1), 0.5, np.float32),
    }
    parameters = code.continuous(action=actions, choices=code.choices(action=actions))
    np.testing.assert_array_equal(parameters[:, 0], [0.0, 0.0, 0.0, 0.5])
    table = choice_table(spec=code.spec, limit=3)
    assert table is not None
    np.testing.assert_array_equal(table.parameters_used[:, 0], [False, False, True])


def test_actions_are_put_together_as_they_were_taken_apart() -> None:
    code = code_of(spaces.Dict(a=spaces.MultiBinary((2, 2)), b=spaces.Box(-1.0, 1.0, (2, 1)), c=spaces.Discrete(4)))
    action = {
        "a": np.array([[[0, 1], [1, 0]]], np.int8),
        "b": np.array([[[0.5], [-0.25]]], np.float32),
        "c": np.array([3], np.int32),
    }
    options = np.array([[0, 1, 1, 0, 3]])
    choices = code.choices(action=action)
    joined = code.join(options=options, parameters=code.continuous(action=action, choices=choices))
    jax.tree.map(np.testing.assert_array_equal, joined, action)
    assert joined["a"].dtype == np.int8


def test_a_critic_sees_the_chosen_element_and_not_its_number() -> None:
    observation = spaces.Dict(things=SetOf(spaces.Box(-1.0, 1.0, (2,)), maximum=3))
    code = code_of(spaces.Dict(which=ElementOf("things", 3), c=spaces.Box(-1.0, 1.0, (1,))), observation)
    things = np.array([[[0.1, 0.2, 1.0], [0.3, 0.4, 1.0], [0.0, 0.0, 0.0]]], np.float32)
    choices = jnp.asarray([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    features = code.features(choices=choices, parameters=jnp.full((1, 2, 1), 0.9), observation={"things": things})
    assert code.size == 3
    np.testing.assert_allclose(features, [[[0.3, 0.4, 0.9], [0.1, 0.2, 0.9]]], rtol=1e-6)


# Listed choices


def test_log_probabilities_of_listed_choices_by_hand() -> None:
    distribution = enumerated(batch=2)
    action = (
        np.array([0, 1], np.int32),
        (np.array([[0.5, -0.2], [0.9, 0.9]], np.float32), np.array([[0.7], [0.6]], np.float32)),
    )
    choice = np.log(np.exp([0.2, 1.1]) / np.sum(np.exp([0.2, 1.1])))
    first = log_density(value=0.5, mean=0.3, log_std=-0.4) + log_density(value=-0.2, mean=-0.5, log_std=-1.0)
    second = log_density(value=0.6, mean=0.8, log_std=-0.2)
    expected = [choice[0] + first, choice[1] + second]
    np.testing.assert_allclose(distribution.log_prob(action=action), expected, rtol=1e-5)


def test_samples_of_listed_choices_have_their_log_probability_and_frequencies() -> None:
    distribution = enumerated(batch=20_000)
    sample = jax.jit(lambda key: distribution.sample_with_log_prob(key=key))(KEY)
    np.testing.assert_allclose(sample.log_probability, distribution.log_prob(action=sample.action), atol=2e-4)
    share = float(np.exp(1.1) / np.sum(np.exp([0.2, 1.1])))
    assert np.mean(np.asarray(sample.action[0]) == 1) == pytest.approx(share, abs=0.015)
    # What is not used is 0.
    chosen = np.asarray(sample.action[0])
    assert not np.any(np.asarray(sample.action[1][0])[chosen == 1])
    assert not np.any(np.asarray(sample.action[1][1])[chosen == 0])
    assert np.median(np.asarray(sample.action[1][1])[chosen == 1]) == pytest.approx(np.tanh(0.8), abs=0.02)


def test_the_entropy_of_listed_choices_is_that_of_an_integral() -> None:
    distribution = enumerated(batch=20_000)
    probability = np.exp([0.2, 1.1]) / np.sum(np.exp([0.2, 1.1]))

    def continuous(mean: float, log_std: float) -> float:
        def integrand(value: float) -> float:
            density = log_density(value=value, mean=mean, log_std=log_std)
            return float(-np.exp(density) * density)

        return float(scipy.integrate.quad(integrand, -1.0 + 1e-9, 1.0 - 1e-9, limit=200)[0])

    expected = -np.sum(probability * np.log(probability))
    expected += probability[0] * (continuous(0.3, -0.4) + continuous(-0.5, -1.0)) + probability[1] * continuous(
        0.8, -0.2
    )
    estimate = jax.jit(lambda key: distribution.entropy(key=key))(KEY)
    assert float(jnp.mean(estimate)) == pytest.approx(expected, abs=0.02)


def test_expectations_over_candidates_are_exact_in_the_choices() -> None:
    # f(k, c) = (1 + k) · c₀ + 10 k: of choice 1 the only parameter is the third.
    distribution = enumerated(batch=20_000)
    candidates = jax.jit(lambda key: distribution.candidates(key=key))(KEY)
    np.testing.assert_allclose(jnp.sum(candidates.weight, axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(candidates.used[0], [2.0, 1.0])
    assert not np.any(np.asarray(candidates.parameters)[:, 0, 2])
    assert not np.any(np.asarray(candidates.parameters)[:, 1, :2])
    sampled = distribution.sample_with_log_prob(key=KEY).action
    by_samples = np.mean(np.where(sampled[0] == 1, 10.0 + 2.0 * sampled[1][1][:, 0], sampled[1][0][:, 0]))
    values = jnp.stack([candidates.parameters[:, 0, 0], 10.0 + 2.0 * candidates.parameters[:, 1, 2]], axis=-1)
    assert float(jnp.mean(jnp.sum(candidates.weight * values, axis=-1))) == pytest.approx(by_samples, abs=0.15)


def test_given_noise_takes_the_place_of_the_sample() -> None:
    # Parameters of all leaves in order; with one joint choice the key makes no difference.
    code = code_of(spaces.Dict(a=spaces.Box(-1.0, 1.0, (1,)), b=spaces.Box(-1.0, 1.0, (1, 2))))
    table = choice_table(spec=code.spec, limit=1)
    assert table is not None
    distribution = EnumeratedChoices(
        log_probabilities=jnp.zeros((1, 1)),
        mean=jnp.asarray([[[0.1, -0.2, 0.3]]]),
        log_std=jnp.asarray([[[0.0, -1.0, 0.5]]]),
        code=code,
        table=table,
    )
    action = distribution.sample_from_noise(noise=jnp.asarray([[1.0, -2.0, 0.5]]), key=KEY)
    # u = mean + e^(log std) · noise: 0.1 + 1; −0.2 − 2e⁻¹; 0.3 + 0.5 e^0.5.
    np.testing.assert_allclose(action["a"], np.tanh([[1.1]]), rtol=1e-5)
    second = np.tanh([[[-0.2 - 2.0 * np.exp(-1.0), 0.3 + 0.5 * np.exp(0.5)]]])
    np.testing.assert_allclose(action["b"], second, rtol=1e-5)


def test_the_mode_of_listed_choices() -> None:
    mode = enumerated().mode()
    assert mode[0] == 1
    np.testing.assert_allclose(mode[1][1], [[np.tanh(0.8)]], rtol=1e-6)
    assert not np.any(mode[1][0])


def test_the_fixed_spread_loss_by_hand() -> None:
    action = (np.array([0], np.int32), (np.array([[0.5, -0.2]], np.float32), np.array([[0.7]], np.float32)))
    choice = np.log(np.exp(0.2) / np.sum(np.exp([0.2, 1.1])))
    squared = 0.5 * ((np.tanh(0.3) - 0.5) ** 2 + (np.tanh(-0.5) + 0.2) ** 2)
    np.testing.assert_allclose(enumerated().fixed_spread_loss(action=action), [squared - choice], rtol=1e-5)


# Factored choices


def all_factored_log_probability() -> dict[tuple[int, int, int], float]:
    """log π(a, b₀, b₁) where b₁ counts only with a = 1, each joint choice once."""
    parts = [scipy.special.log_softmax(row) for row in ([0.3, -0.2], [0.0, 0.7], [0.1, 0.5, -0.4])]
    table = {}
    for a, b0, b1 in itertools.product(range(2), range(2), range(3)):
        if a == 1 or b1 == 0:
            table[a, b0, b1] = float(parts[0][a] + parts[1][b0] + (parts[2][b1] if a == 1 else 0.0))
    return table


def test_log_probabilities_of_factored_choices_by_hand() -> None:
    distribution = factored(batch=2)
    action = {
        "a": np.array([0, 1], np.int32),
        "b": np.array([[1, 2], [0, 2]], np.int32),
        "c": np.array([[0.5, -0.2], [0.4, 0.1]], np.float32),
    }
    table = all_factored_log_probability()
    shift = np.linspace(-0.5, 0.5, 14).reshape(7, 2)
    # The options' rows: a 0–1, b₀ 2–3, b₁ 4–6.
    means = [np.array([0.2, -0.1]) + shift[0] + shift[3], np.array([0.2, -0.1]) + shift[1] + shift[2] + shift[6]]
    expected = [
        table[0, 1, 0]
        + log_density(value=0.5, mean=means[0][0], log_std=-0.5)
        + log_density(value=-0.2, mean=means[0][1], log_std=-0.9),
        table[1, 0, 2] + log_density(value=0.1, mean=means[1][1], log_std=-0.9),
    ]
    np.testing.assert_allclose(distribution.log_prob(action=action), expected, rtol=1e-5)


def test_the_entropy_of_factored_choices_is_that_of_a_sum() -> None:
    logarithms = np.array(list(all_factored_log_probability().values()))
    assert np.sum(np.exp(logarithms)) == pytest.approx(1.0)
    candidates = factored().candidates(key=KEY)
    np.testing.assert_allclose(candidates.choice_entropy, [-np.sum(np.exp(logarithms) * logarithms)], rtol=1e-5)


def test_factored_samples_have_their_frequencies_and_log_probability() -> None:
    distribution = factored(batch=20_000)
    sample = jax.jit(lambda key: distribution.sample_with_log_prob(key=key))(KEY)
    np.testing.assert_allclose(sample.log_probability, distribution.log_prob(action=sample.action), atol=2e-4)
    for joint, logarithm in all_factored_log_probability().items():
        a, b = np.asarray(sample.action["a"]), np.asarray(sample.action["b"])
        same = (a == joint[0]) & (b[:, 0] == joint[1]) & (b[:, 1] == joint[2])
        assert np.mean(same) == pytest.approx(np.exp(logarithm), abs=0.015)
    assert not np.any(np.asarray(sample.action["c"])[np.asarray(sample.action["a"]) == 1, 0])


@pytest.mark.parametrize("samples", [2, 5])
def test_the_gradient_of_an_expectation_over_factored_choices_is_unbiased(samples: int) -> None:
    # E[Σ w·k + 2 [k = (0, 1)] + c], c being a parameter whose mean before tanh depends on the choices. No relaxation of
    # the choices would find the gradient of the second term, and none that follows c's slope that of the third.
    code = code_of(spaces.Tuple((spaces.MultiDiscrete([3, 2]), spaces.Box(-1.0, 1.0, (1,)))))
    weights = jnp.asarray([1.0, -2.0, 0.5, 3.0, 0.0])
    shift = jnp.asarray([[2.0], [-1.0], [0.3], [-0.5], [0.5]])
    rows = 40_000

    def worth(choices: jax.Array, parameters: jax.Array) -> jax.Array:
        return choices @ weights + 2.0 * choices[..., 0] * choices[..., 4] + parameters[..., 0]

    def estimate(logits: jax.Array) -> jax.Array:
        distribution = FactoredChoices(
            log_probabilities=jnp.tile(jax.nn.log_softmax(logits), (rows, 1, 1)),
            mean=jnp.full((rows, 1), 0.2),
            log_std=jnp.full((rows, 1), -8.0),
            mean_of_choices=shift,
            samples=samples,
            code=code,
        )
        candidates = distribution.candidates(key=KEY)
        return jnp.mean(jnp.sum(candidates.weight * worth(candidates.choices, candidates.parameters), axis=-1))

    def exact(logits: jax.Array) -> jax.Array:
        first, second = jax.nn.softmax(logits[0]), jax.nn.softmax(logits[1, :2])
        joint = [jnp.concatenate([jnp.eye(3)[i], jnp.eye(2)[j]]) for i in range(3) for j in range(2)]
        values = jnp.stack([worth(choices, jnp.tanh(0.2 + choices @ shift)) for choices in joint])
        return jnp.sum(jnp.outer(first, second).ravel() * values)

    logits = jnp.asarray([[0.2, 0.4, -0.1], [0.3, 0.0, -jnp.inf]])
    value, gradient = jax.jit(jax.value_and_grad(estimate))(logits)
    expected, slope = jax.value_and_grad(exact)(logits)
    assert float(value) == pytest.approx(float(expected), abs=0.03)
    np.testing.assert_allclose(gradient, slope, atol=0.03)


def test_the_weights_of_sampled_choices_are_equal_and_sum_to_one() -> None:
    candidates = factored(batch=3).candidates(key=KEY)
    np.testing.assert_allclose(candidates.weight, np.full((3, 2), 0.5))
    total = jax.grad(lambda logits: jnp.sum(replace(factored(), log_probabilities=logits).candidates(key=KEY).weight))
    np.testing.assert_allclose(total(factored().log_probabilities), 0.0, atol=1e-6)


def factored_of(code: ActionCode, *, logits: Any = None) -> FactoredChoices:
    """Of uniform choices where no logits are given."""
    widest = max(code.sizes)
    there = jnp.asarray([[0.0] * size + [-jnp.inf] * (widest - size) for size in code.sizes])
    return FactoredChoices(
        log_probabilities=jax.nn.log_softmax(there if logits is None else logits)[None],
        mean=jnp.zeros((1, code.parameters)),
        log_std=jnp.zeros((1, code.parameters)),
        mean_of_choices=jnp.zeros((code.options, code.parameters)),
        samples=2,
        code=code,
    )


def test_the_highest_entropy_of_choices_that_exclude_each_other_counts_joint_choices_once() -> None:
    action = spaces.Dict(a=spaces.Discrete(3), b=spaces.Discrete(5), c=spaces.Discrete(4), d=spaces.Discrete(2))
    relations = (
        UsedBy(parameter="b", choice="a", options=(1,)),
        UsedBy(parameter="c", choice="a", options=(2,)),
        UsedBy(parameter="d", choice="c", options=(0, 3)),
    )
    code = code_of(action, relations=relations)
    table = choice_table(spec=code.spec, limit=99)
    assert table is not None
    assert len(table) == 1 + 5 + (2 + 2 * 2)
    highest = factored_of(code).candidates(key=KEY).highest_choice_entropy
    np.testing.assert_allclose(highest, np.log([len(table)]), rtol=1e-6)
    # What is masked is not counted: the option 3 of c, and the options 0 to 3 of b.
    logits = jnp.zeros((4, 5)).at[1, :4].set(-jnp.inf).at[0, 3:].set(-jnp.inf).at[2, 3:].set(-jnp.inf)
    logits = logits.at[3, 2:].set(-jnp.inf)
    masked = factored_of(code, logits=logits).candidates(key=KEY).highest_choice_entropy
    np.testing.assert_allclose(masked, np.log([1 + 1 + (2 + 2)]), rtol=1e-6)


def test_the_entropy_of_factored_choices_counts_each_condition_once() -> None:
    action = spaces.Dict(a=spaces.Discrete(3), b=spaces.Discrete(2), c=spaces.Discrete(4))
    relations = (
        UsedBy(parameter="b", choice="a", options=(1, 2)),
        UsedBy(parameter="c", choice="b", options=(1,)),
        UsedBy(parameter="c", choice="a", options=(0, 1)),
    )
    code = code_of(action, relations=relations)
    table = choice_table(spec=code.spec, limit=99)
    assert table is not None
    # Of uniform components: a third each for the options of a, half of that for those of b, a quarter for those of c.
    probability = [np.prod(1.0 / np.array([3, 2, 4])[used]) for used in table.used]
    assert np.sum(probability) == pytest.approx(1.0)
    entropy = factored_of(code).candidates(key=KEY).choice_entropy
    np.testing.assert_allclose(entropy, [-np.sum(probability * np.log(probability))], rtol=1e-5)


# Masks


def test_an_expert_is_compared_without_what_its_choices_do_not_use() -> None:
    code = code_of(MANY, relations=MANY_RELATIONS)
    action = {
        "a": np.array([0, 1], np.int32),
        "b": np.array([[1, 2], [0, 2]], np.int32),
        "c": np.array([[0.5, -0.2], [0.4, 0.1]], np.float32),
    }
    cleared = code.without_unused(action=action)
    np.testing.assert_array_equal(cleared["a"], [0, 1])
    np.testing.assert_array_equal(cleared["b"], [[1, 0], [0, 2]])
    np.testing.assert_allclose(cleared["c"], [[0.5, -0.2], [0.0, 0.1]])


def test_what_is_forbidden_has_no_probability() -> None:
    observation = spaces.Dict(mask=MaskOf("", 3))
    code = code_of(spaces.Discrete(3), observation)
    table = choice_table(spec=code.spec, limit=3)
    assert table is not None
    masks = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]], np.int8)
    rows = code.allowed_rows(table=table, observation={"mask": masks})
    # Where nothing is allowed (the end of an episode) everything is: nothing may become NaN.
    assert rows is not None
    np.testing.assert_array_equal(rows, [[True, False, True], [False, False, True], [True, True, True]])
    logits = jnp.where(rows, jnp.asarray([0.0, 5.0, 1.0]), -jnp.inf)
    distribution = EnumeratedChoices(
        log_probabilities=jax.nn.log_softmax(logits),
        mean=jnp.zeros((3, 3, 0)),
        log_std=jnp.zeros((3, 3, 0)),
        code=code,
        table=table,
    )
    assert float(distribution.log_prob(action=np.ones(3, np.int32))[0]) == -np.inf
    np.testing.assert_array_equal(distribution.mode(), [2, 2, 1])
    probability = np.exp([0.0, 1.0]) / np.sum(np.exp([0.0, 1.0]))
    entropy = distribution.entropy(key=KEY)
    np.testing.assert_allclose(entropy[:2], [-np.sum(probability * np.log(probability)), 0.0], atol=1e-6)
    candidates = distribution.candidates(key=KEY)
    np.testing.assert_allclose(candidates.highest_choice_entropy, np.log([2.0, 1.0, 3.0]), rtol=1e-6)
    gradient = jax.grad(
        lambda given: jnp.sum(
            EnumeratedChoices(
                log_probabilities=jax.nn.log_softmax(jnp.where(rows, given, -jnp.inf)),
                mean=jnp.zeros((3, 3, 0)),
                log_std=jnp.zeros((3, 3, 0)),
                code=code,
                table=table,
            )
            .candidates(key=KEY)
            .choice_entropy
        )
    )(jnp.zeros(3))
    assert np.all(np.isfinite(gradient))
