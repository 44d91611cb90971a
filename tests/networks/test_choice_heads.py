"""Heads of choices: what masks leave, listed or factored, and what is not used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from gymnasium import spaces

from triax.networks import ActionHeadConfig
from triax.networks.choice_heads import FactoredHead, build_head
from triax.networks.choices import EnumeratedChoices, FactoredChoices
from triax.random import derive_key
from triax.spaces import MaskOf, UsedBy
from triax.types import EnvironmentSpec

KEY = derive_key(seed=0, name=("test of choice heads",))
SPEC = EnvironmentSpec.of_spaces(
    observation=spaces.Dict(of_operation=MaskOf("operation", 3), of_way=MaskOf("way", 4)),
    action=spaces.Dict(operation=spaces.Discrete(3), way=spaces.Discrete(4), far=spaces.Box(-1.0, 1.0, (1,))),
    relations=(
        UsedBy(parameter="way", choice="operation", options=(1,)),
        UsedBy(parameter="far", choice="way", options=(2, 3)),
    ),
)
MASKS = {
    "of_operation": np.array([[1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 0, 0]], np.int8),
    "of_way": np.array([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], np.int8),
}


def distribution_of(*, listed: int) -> EnumeratedChoices | FactoredChoices:
    """For the four observations of MASKS, each 2,000 times."""
    head = build_head(
        config=ActionHeadConfig(listed_choices=listed, scale=0.3),
        spec=SPEC.action,
        observation_spec=SPEC.observation,
        inputs=5,
        element_sizes={},
        candidates=True,
        rngs=nnx.Rngs(0),
    )
    assert isinstance(head, FactoredHead) == (listed == 1)
    observation = jax.tree.map(lambda leaf: np.repeat(leaf, 2000, axis=0), MASKS)
    distribution = head(jnp.ones((8000, 5)), observation, {})
    assert isinstance(distribution, EnumeratedChoices | FactoredChoices)
    return distribution


@pytest.mark.parametrize("listed", [64, 1])
def test_masks_leave_what_is_allowed_and_possible(listed: int) -> None:
    distribution = distribution_of(listed=listed)
    sample = jax.device_get(distribution.sample_with_log_prob(key=KEY))
    operation, way = (sample.action[name].reshape(4, 2000) for name in ("operation", "way"))
    far = sample.action["far"].reshape(4, 2000)
    assert [sorted(set(row)) for row in operation[:3].tolist()] == [[0, 1, 2], [1, 2], [0]]
    assert sorted(set(way[0][operation[0] == 1].tolist())) == [0, 1, 2, 3]
    assert sorted(set(way[1][operation[1] == 1].tolist())) == [1, 3]
    assert not way[operation != 1].any()
    assert not far[way < 2].any()
    assert np.abs(far[way >= 2]).min() > 0.0
    # Where nothing is allowed (the end of an episode) nothing becomes NaN.
    assert np.isfinite(sample.log_probability).all()
    recomputed = distribution.log_prob(action=sample.action)
    np.testing.assert_allclose(sample.log_probability, recomputed, rtol=1e-3, atol=2e-3)
    mode = jax.device_get(distribution.mode())
    assert not mode["way"][mode["operation"] != 1].any()


def test_listed_and_factored_choices_have_the_same_highest_entropy() -> None:
    rows = [1 + 4 + 1, 2 + 1, 1]
    for listed in (64, 1):
        highest = distribution_of(listed=listed).candidates(key=KEY).highest_choice_entropy
        np.testing.assert_allclose(highest.reshape(4, 2000)[:3, 0], np.log(rows), atol=1e-6)
