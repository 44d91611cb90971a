"""Heads: how log σ is bounded, and the distributions that come out for each kind of action."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from triax.networks.distributions import Bernoulli, Categorical, Distribution, Joint, SquashedGaussian
from triax.networks.functional import FunctionalNetwork
from triax.networks.heads import ActionHead, ActionHeadConfig, LogStdBounds, bounded_log_std
from triax.random import derive_key
from triax.spaces import BoxLeaf, ImageLeaf, SpaceSpec, UnsupportedSpace, space_spec

KEY = derive_key(seed=0, name=("test of heads",))

ACTION = space_spec(
    space=spaces.Dict(
        arm=spaces.Box(-1.0, 1.0, (2, 2)),
        choice=spaces.Discrete(3),
        several=spaces.MultiDiscrete([2, 4]),
        bits=spaces.MultiBinary(3),
        finger=spaces.Tuple([spaces.Box(-1.0, 1.0, ())]),
    ),
    role="action",
)


def head(config: ActionHeadConfig, spec: SpaceSpec = ACTION) -> FunctionalNetwork[ActionHead]:
    return FunctionalNetwork(make=lambda rngs: ActionHead(config=config, spec=spec, inputs=5, rngs=rngs))


def distribution_of(network: FunctionalNetwork[ActionHead], parameters: Any, features: Any) -> Any:
    def call(given: Any, inputs: jax.Array) -> Distribution:
        return network.bind(parameters=given)(inputs)

    return jax.jit(call)(parameters, np.asarray(features, np.float32))


@pytest.mark.parametrize(
    ("low", "initial", "high"), [(-10.0, 0.0, 2.0), (-5.0, -1.0, 0.5), (-1.0, 0.9, 1.0), (-20.0, -19.5, 2.0)]
)
def test_trap_03_log_std_is_bounded_by_a_curve_that_is_alive(low: float, initial: float, high: float) -> None:
    config = ActionHeadConfig(lowest_log_std=low, initial_log_std=initial, highest_log_std=high)
    raw = np.linspace(-60.0, 60.0, 2401, dtype=np.float32)

    def curve(value: jax.Array) -> jax.Array:
        return bounded_log_std(raw=value, config=config)

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(curve)))(raw)
    values, slopes = np.asarray(values), np.asarray(slopes)
    assert np.all(values >= low)
    assert np.all(values <= high + 1e-6)
    assert values[raw == 0.0] == pytest.approx(initial, abs=1e-5)
    assert np.all(np.diff(values) >= -2e-6)
    near = np.abs(raw) < 8.0
    assert np.all(np.diff(values[near]) > 0.0)
    # The ends are reached, the slope never exceeds 1, and it never dies.
    assert values[0] == pytest.approx(low, abs=0.01)
    assert values[-1] == pytest.approx(high, abs=1e-3)
    assert np.all(slopes > 0.0)
    assert np.all(slopes <= 1.0 + 1e-6)
    # With bounds far apart it is close to the identity between them.
    if low == -10.0:
        np.testing.assert_allclose(
            values[(raw > -6.0) & (raw < -1.0)] - raw[(raw > -6.0) & (raw < -1.0)], 0.14, atol=0.14
        )


def test_trap_03_log_std_is_cut_off_at_its_bounds() -> None:
    config = ActionHeadConfig(initial_log_std=-1.0, lowest_log_std=-3.0, highest_log_std=1.0, log_std_bounds="clip")
    raw = jnp.asarray([-2.5, -1.5, 0.0, 1.5, 2.5])
    np.testing.assert_allclose(bounded_log_std(raw=raw, config=config), [-3.0, -2.5, -1.0, 0.5, 1.0])


@pytest.mark.parametrize("bounds", ["smooth", "clip"])
@pytest.mark.parametrize("raw", [-1e30, 1e30])
def test_trap_03_extreme_outputs_give_no_nan(raw: float, bounds: LogStdBounds) -> None:
    config = ActionHeadConfig(log_std_bounds=bounds)
    value, slope = jax.value_and_grad(lambda x: bounded_log_std(raw=x, config=config))(jnp.float32(raw))
    assert np.isfinite(value)
    assert -10.0 <= float(value) <= 2.0
    assert np.isfinite(slope)


@pytest.mark.parametrize("initial", [-10.0, 2.0, 5.0])
def test_an_initial_value_outside_of_the_bounds_is_refused(initial: float) -> None:
    with pytest.raises(ValueError, match="initial_log_std"):
        ActionHeadConfig(initial_log_std=initial)


@pytest.mark.parametrize("state_dependent", [True, False])
def test_a_mixed_tree_gets_a_distribution_for_each_leaf(state_dependent: bool) -> None:
    config = ActionHeadConfig(state_dependent_std=state_dependent, initial_log_std=-0.7, scale=1e-6)
    network = head(config)
    parameters = network.initial_parameters(key=KEY)
    distribution = distribution_of(network, parameters, np.ones((7, 5)))
    assert isinstance(distribution, Joint)
    tree: Any = distribution.parts
    assert isinstance(tree["arm"], SquashedGaussian)
    assert tree["arm"].mean.shape == tree["arm"].log_std.shape == (7, 2, 2)
    np.testing.assert_allclose(tree["arm"].log_std, -0.7, atol=1e-3)
    assert tree["finger"][0].mean.shape == (7,)
    assert isinstance(tree["bits"], Bernoulli)
    assert tree["bits"].logits.shape == (7, 3)
    assert isinstance(tree["choice"], Categorical)
    assert tree["choice"].logits.shape == (7, 1, 3)
    assert tree["several"].logits.shape == (7, 2, 4)
    sample = jax.jit(lambda d, key: d.sample_with_log_prob(key=key))(distribution, KEY)
    assert sample.log_probability.shape == (7,)
    for leaf, action in zip(ACTION.leaves(), jax.tree.leaves(sample.action), strict=True):
        assert action.shape == (7, *leaf.shape)
        assert action.dtype == leaf.dtype


def test_a_spread_of_its_own_is_split_over_the_leaves_in_order() -> None:
    network = head(ActionHeadConfig(state_dependent_std=False))
    parameters = network.initial_parameters(key=KEY)
    assert parameters["free_log_std"].shape == (5,)
    np.testing.assert_array_equal(parameters["free_log_std"], np.zeros(5))
    parameters["free_log_std"] = jnp.asarray(np.array([-1.0, -2.0, -3.0, -4.0, -5.0], np.float32))
    tree = distribution_of(network, parameters, np.zeros((1, 5))).parts
    np.testing.assert_allclose(tree["arm"].log_std, [[[-1.0, -2.0], [-3.0, -4.0]]], atol=0.2)
    np.testing.assert_allclose(tree["finger"][0].log_std, [-5.0], atol=0.2)
    # It does not depend on the features, and a head without continuous leaves has none.
    other = distribution_of(network, parameters, np.ones((1, 5))).parts
    np.testing.assert_array_equal(other["arm"].log_std, tree["arm"].log_std)
    discrete = space_spec(space=spaces.Discrete(3), role="action")
    assert "free_log_std" not in head(ActionHeadConfig(state_dependent_std=False), discrete).initial_parameters(key=KEY)


def test_a_single_leaf_has_no_joint() -> None:
    box = space_spec(space=spaces.Box(-1.0, 1.0, (3,)), role="action")
    network = head(ActionHeadConfig(), box)
    distribution = distribution_of(network, network.initial_parameters(key=KEY), np.zeros((2, 5)))
    assert isinstance(distribution, SquashedGaussian)
    wrapped = SpaceSpec(tree={"only": box.tree})
    network = head(ActionHeadConfig(), wrapped)
    assert isinstance(distribution_of(network, network.initial_parameters(key=KEY), np.zeros((2, 5))), Joint)


def test_the_initial_scale_makes_the_first_policy_even() -> None:
    network = head(ActionHeadConfig(scale=0.01))
    tree = distribution_of(network, network.initial_parameters(key=KEY), np.ones((1, 5))).parts
    assert np.max(np.abs(tree["arm"].mean)) < 0.05
    assert np.max(np.abs(tree["choice"].logits)) < 0.05


def test_an_image_is_no_action() -> None:
    with pytest.raises(UnsupportedSpace, match="ImageLeaf"):
        head(ActionHeadConfig(), SpaceSpec(tree=ImageLeaf(shape=(2, 2, 1))))


def test_a_spec_with_dicts_leaves_the_structure_hashable() -> None:
    network = head(ActionHeadConfig())
    assert isinstance(hash(network._graph), int)
    assert BoxLeaf(shape=(2, 2), low=(-1.0,) * 4, high=(1.0,) * 4) in ACTION.leaves()
