"""Losses of named terms: sums by hand, weights that change, one mechanism for reinforcement and imitation."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from triax.learners.a2c import A2CConfig
from triax.learners.actor_critic.losses import loss_inputs
from triax.learners.actor_critic.state import ActorCriticNetworks, ActorCriticStatistics, PreparedRows
from triax.learners.bc import BCConfig
from triax.learners.cloning import CloningInputs
from triax.learners.terms import EntropyBonus, LinearSchedule, LossTerm, SquaredParameters, value_after, weighted_sum
from triax.networks import Bernoulli

START = jnp.zeros((), jnp.int32)
BIT = Bernoulli(logits=jnp.log(4.0) * jnp.ones((2, 1)), shape=(1,))
"""Bits with p(1) = 0.8, whose entropy is −0.8 log 0.8 − 0.2 log 0.2 = 0.5004024 nats."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost(LossTerm[float]):
    """The input itself."""

    name: ClassVar[str] = "cost"

    def value(self, inputs: float) -> Float[Array, ""]:
        return jnp.asarray(inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gain(LossTerm[float]):
    """Its square, which is to become large."""

    name: ClassVar[str] = "gain"
    sign: ClassVar[float] = -1.0

    def value(self, inputs: float) -> Float[Array, ""]:
        return jnp.square(jnp.asarray(inputs))


def test_a_linear_schedule_goes_from_one_value_to_the_other_and_stays() -> None:
    schedule = LinearSchedule(initial=1.0, final=0.2, updates=4)
    found = [float(schedule.after(updates=jnp.asarray(updates))) for updates in (0, 1, 2, 4, 9)]
    np.testing.assert_allclose(found, [1.0, 0.8, 0.6, 0.2, 0.2], rtol=1e-6)
    assert value_after(0.7, updates=START) == 0.7
    with pytest.raises(ValueError, match=r"LinearSchedule.updates=0"):
        LinearSchedule(initial=1.0, final=0.0, updates=0)


def test_a_weighted_sum_by_hand_with_a_weight_that_changes() -> None:
    # At 3: 2·3 − w·9 with w = 0.5 after one of two updates from 1 to 0: 6 − 4.5 = 1.5, whose slope is 2 − 2·0.5·3 = −1.
    terms: tuple[LossTerm[float], ...] = (
        Cost(weight=2.0),
        Gain(weight=LinearSchedule(initial=1.0, final=0.0, updates=2)),
    )

    def loss(inputs: float) -> Any:
        return weighted_sum(terms=terms, inputs=inputs, updates=jnp.ones((), jnp.int32))

    (total, reported), slope = jax.value_and_grad(loss, has_aux=True)(3.0)
    np.testing.assert_allclose((total, slope), (1.5, -1.0), rtol=1e-6)
    assert {name: float(value) for name, value in reported.items()} == {"cost": 3.0, "gain": 9.0, "gain_weight": 0.5}


def test_a_term_without_weight_is_reported_and_has_no_part_in_the_loss() -> None:
    total, reported = weighted_sum(terms=(Cost(), Gain(weight=0.0)), inputs=3.0, updates=START)
    assert float(total) == 3.0
    assert float(reported["gain"]) == 9.0


def test_terms_of_one_name_and_losses_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"names of their own.*\['cost', 'cost'\]"):
        weighted_sum(terms=(Cost(), Cost(weight=2.0)), inputs=1.0, updates=START)
    with pytest.raises(ValueError, match="nothing to learn"):
        weighted_sum(terms=(Cost(weight=0.0),), inputs=1.0, updates=START)


def test_trap_06_the_same_terms_make_losses_of_reinforcement_and_of_imitation() -> None:
    # Both have the entropy, 0.5004024, with a weight that falls from 0.4 to 0 and is 0.2 now, and half the squares of
    # the parameters 3 and 4, 12.5, with the weight 0.1: −0.1000805 + 1.25 beside what is theirs alone.
    further = (SquaredParameters(weight=0.1),)
    entropy = LinearSchedule(initial=0.4, final=0.0, updates=10)
    updates, shared = jnp.asarray(5), -0.1000805 + 1.25
    # Imitation: the expert chose 1 and 0: (−log 0.8 − log 0.2) / 2 = 0.9162907.
    cloning = CloningInputs(
        distribution=BIT,
        action=jnp.array([[1], [0]], jnp.int8),
        weight=jnp.ones(2),
        task=jnp.zeros(2, jnp.int32),
        parameters={"a": jnp.array([3.0, 4.0])},
        key=jax.random.key(0),
    )
    terms = BCConfig(entropy_coefficient=entropy, further_terms=further).terms
    total, reported = weighted_sum(terms=terms, inputs=cloning, updates=updates)
    np.testing.assert_allclose(total, 0.9162907 + shared, rtol=1e-5)
    np.testing.assert_allclose(reported["entropy"], 0.5004024, rtol=1e-5)
    np.testing.assert_allclose(reported["entropy_weight"], 0.2, rtol=1e-5)
    np.testing.assert_allclose(reported["squared_parameters"], 12.5)
    # Reinforcement, Â = 1, 3 of the same actions: −(log 0.8 + 3 log 0.2) / 2 = 2.5257287; values 1, 3 and targets 2, 1:
    # ½ · (1 + 4) / 2 = 1.25, half of it 0.625.
    rows = PreparedRows(
        observation=jnp.zeros((2, 1)),
        action=cloning.action,
        log_probability=jnp.log(jnp.array([0.8, 0.2])),
        advantage=jnp.array([1.0, 3.0]),
        value_target=jnp.array([2.0, 1.0]),
        value=jnp.zeros(2),
        valid=jnp.array([True, True]),
    )
    inputs = loss_inputs(
        rows=rows,
        parameters=ActorCriticNetworks(actor=jnp.array(3.0), critic=jnp.array(4.0)),
        distribution=BIT,
        value_output=jnp.array([1.0, 3.0]),
        statistics=ActorCriticStatistics(observation=None, returns=None),
        normalise_advantages=False,
        key=jax.random.key(0),
    )
    config = A2CConfig(entropy_coefficient=entropy, further_terms=further)
    total, reported = weighted_sum(terms=config.terms, inputs=inputs, updates=updates)
    np.testing.assert_allclose(total, 2.5257287 + 0.625 + shared, rtol=1e-5)
    assert set(reported) == {
        "policy_loss", "value_loss", "entropy", "entropy_weight", "squared_parameters", "approximate_kl",
        "explained_variance",
    }  # fmt: skip
    assert {type(term) for term in BCConfig().terms} & {type(term) for term in A2CConfig().terms} == {EntropyBonus}


def test_parameters_are_held_small_in_parts() -> None:
    inputs = CloningInputs(
        distribution=BIT,
        action=jnp.array([[1], [0]], jnp.int8),
        weight=jnp.ones(2),
        task=jnp.zeros(2, jnp.int32),
        parameters={"torso": {"kernel": jnp.array([3.0])}, "head": jnp.array([4.0])},
        key=jax.random.key(0),
    )
    # 2 · ½ · 3² + ½ · 4² = 17.
    terms = (SquaredParameters(part="torso", weight=2.0), SquaredParameters(part="head"))
    total, reported = weighted_sum(terms=terms, inputs=inputs, updates=START)
    assert float(total) == 17.0
    assert {name: float(value) for name, value in reported.items()} == {
        "squared_parameters_of_torso": 4.5,
        "squared_parameters_of_head": 8.0,
    }
    with pytest.raises(ValueError, match=r"part='tor' names nothing; there are: .*torso/kernel"):
        SquaredParameters(part="tor").value(inputs)
