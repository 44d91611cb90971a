"""Distributions over actions in inside form: one for each kind of leaf, and their joint over an action tree.

Every distribution is a pytree of its parameters, with leading axes [...] (usually the batch), and sums
log-probabilities and entropies over its own components, once: what it returns has shape [...].
"""

import abc
from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from triax.random import KeyArray
from triax.trees import Tree, static_field, tree_dataclass

LARGEST_TANH = 1.0 - 1e-6
"""Actions are pulled to within ± this before the inverse of tanh is taken: in float32 an action can be 1 exactly."""

LOG_2 = float(np.log(2.0))
LOG_SQRT_2_PI = float(0.5 * np.log(2.0 * np.pi))


@tree_dataclass
class SampledAction:
    """An action with its log-probability.

    :ivar action: inside form, [..., *shape].
    :ivar log_probability: log-density (log-probability, for discrete parts), [...].
    """

    action: Tree
    log_probability: Float[Array, "..."]


class Distribution(abc.ABC):
    """A distribution over (a leaf of) an action."""

    @abc.abstractmethod
    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample an action; differentiable with respect to the parameters where the action is continuous.

        :param key: randomness.
        :return: the action and its log-probability.
        """

    @abc.abstractmethod
    def log_prob(self, *, action: Tree) -> Float[Array, "..."]:
        """Compute the log-probability of an action.

        :param action: inside form, [..., *shape].
        :return: log-density or log-probability, [...].
        """

    @abc.abstractmethod
    def entropy(self, *, key: KeyArray) -> Float[Array, "..."]:
        """Compute the entropy in nats, or an unbiased estimate of it; the class says which.

        :param key: randomness for the estimate.
        :return: [...].
        """

    @abc.abstractmethod
    def mode(self) -> Tree:
        """Choose the action of the deterministic policy: the most probable one; of a squashed Gaussian, its median.

        :return: inside form, [..., *shape].
        """

    def fixed_spread_loss(self, *, action: Tree) -> Float[Array, "..."]:
        """Compute the negative log-likelihood of an action, up to a constant, with Gaussians of spread 1 around the
        deterministic action in the place of the continuous parts: ½ ‖a − a*‖².

        :param action: a*, inside form, [..., *shape].
        :return: [...].
        """
        return -self.log_prob(action=action)

    def without_unused(self, *, action: Tree) -> Tree:
        """Make 0 what an action's choices leave unused, as the distribution's own actions have it.

        :param action: inside form, [..., *shape].
        :return: the same structure.
        """
        return action

    def sample(self, *, key: KeyArray) -> Tree:
        """Sample an action.

        :param key: randomness.
        :return: inside form, [..., *shape].
        """
        return self.sample_with_log_prob(key=key).action


def _sum_events(value: Array, *, shape: tuple[int, ...]) -> Array:
    return jnp.sum(value, axis=tuple(range(value.ndim - len(shape), value.ndim)))


@tree_dataclass
class SquashedGaussian(Distribution):
    """a = tanh(u) with u ~ Normal(mean, std), independent over components; its support is (−1, 1).

    log p(a) = Σ_i log Normal(u_i) − log(1 − tanh²(u_i)) (Haarnoja et al. 2018, "Soft actor-critic algorithms and
    applications", appendix C, equation 21), with log(1 − tanh²(u)) = 2·(log 2 − u − softplus(−2u)), which does not
    overflow. There is no closed form of the entropy: :meth:`entropy` is the one-sample estimate −log p(a), unbiased.

    :ivar mean: of u, [..., *shape].
    :ivar log_std: of u, [..., *shape].
    :ivar shape: the leaf's shape.
    """

    mean: Float[Array, "..."]
    log_std: Float[Array, "..."]
    shape: tuple[int, ...] = static_field()

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample by reparameterisation: u = mean + std · ε."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        squashed_from = self.mean + jnp.exp(self.log_std) * noise
        normal = -0.5 * jnp.square(noise) - self.log_std - LOG_SQRT_2_PI
        log_probability = _sum_events(normal - log_tanh_slope(squashed_from), shape=self.shape)
        return SampledAction(action=jnp.tanh(squashed_from), log_probability=log_probability)

    def log_prob(self, *, action: Float[Array, "..."]) -> Float[Array, "..."]:
        """Compute the log-density; actions at ±1 are taken as ± :data:`LARGEST_TANH`."""
        squashed_from = jnp.arctanh(jnp.clip(action, -LARGEST_TANH, LARGEST_TANH))
        noise = (squashed_from - self.mean) * jnp.exp(-self.log_std)
        normal = -0.5 * jnp.square(noise) - self.log_std - LOG_SQRT_2_PI
        return _sum_events(normal - log_tanh_slope(squashed_from), shape=self.shape)

    def entropy(self, *, key: KeyArray) -> Float[Array, "..."]:
        """Estimate the entropy by −log p of one sample."""
        return -self.sample_with_log_prob(key=key).log_probability

    def fixed_spread_loss(self, *, action: Float[Array, "..."]) -> Float[Array, "..."]:
        """Compute ½ ‖a − a*‖²."""
        return 0.5 * _sum_events(jnp.square(self.mode() - action), shape=self.shape)

    def mode(self) -> Float[Array, "..."]:
        """Return tanh(mean), the median."""
        return jnp.tanh(self.mean)


def log_tanh_slope(value: Array) -> Array:
    """Compute log(1 − tanh²(u)).

    :param value: u.
    :return: of the same shape.
    """
    return 2.0 * (LOG_2 - value - jax.nn.softplus(-2.0 * value))


@tree_dataclass
class Categorical(Distribution):
    """Independent choices, component i among sizes[i] options. The entropy is exact.

    :ivar logits: unnormalised log-probabilities, one row a component, padded to the largest size, [..., components, n].
    :ivar sizes: the number of options of each component.
    :ivar shape: the leaf's shape; ``()`` for a single choice.
    """

    logits: Float[Array, "... components n"]
    sizes: tuple[int, ...] = static_field()
    shape: tuple[int, ...] = static_field()

    def _log_probabilities(self) -> Float[Array, "... components n"]:
        options = np.arange(max(self.sizes))[None, :] < np.asarray(self.sizes)[:, None]
        return jax.nn.log_softmax(jnp.where(options, self.logits, -jnp.inf), axis=-1)

    def _shaped(self, choice: Array) -> Int[Array, "..."]:
        return jnp.reshape(choice, (*choice.shape[:-1], *self.shape)).astype(jnp.int32)

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample each component."""
        action = self._shaped(jax.random.categorical(key, self._log_probabilities(), axis=-1))
        return SampledAction(action=action, log_probability=self.log_prob(action=action))

    def log_prob(self, *, action: Int[Array, "..."]) -> Float[Array, "..."]:
        """Sum the components' log-probabilities."""
        choice = jnp.reshape(action, self.logits.shape[:-1])
        chosen = jnp.take_along_axis(self._log_probabilities(), choice[..., None], axis=-1)[..., 0]
        return jnp.sum(chosen, axis=-1)

    def entropy(self, *, key: KeyArray) -> Float[Array, "..."]:
        """Compute −Σ p log p exactly; the key is not used."""
        log_probabilities = self._log_probabilities()
        possible = jnp.isfinite(log_probabilities)
        finite = jnp.where(possible, log_probabilities, 0.0)
        return -jnp.sum(jnp.where(possible, jnp.exp(finite), 0.0) * finite, axis=(-2, -1))

    def mode(self) -> Int[Array, "..."]:
        """Return each component's most probable option."""
        return self._shaped(jnp.argmax(self._log_probabilities(), axis=-1))


@tree_dataclass
class Bernoulli(Distribution):
    """Independent bits. The entropy is exact.

    :ivar logits: log p(1) − log p(0), [..., *shape].
    :ivar shape: the leaf's shape.
    """

    logits: Float[Array, "..."]
    shape: tuple[int, ...] = static_field()

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample each bit."""
        action = jax.random.bernoulli(key, jax.nn.sigmoid(self.logits)).astype(jnp.int8)
        return SampledAction(action=action, log_probability=self.log_prob(action=action))

    def log_prob(self, *, action: Int[Array, "..."]) -> Float[Array, "..."]:
        """Sum the bits' log-probabilities."""
        bit = action.astype(self.logits.dtype)
        value = bit * jax.nn.log_sigmoid(self.logits) + (1.0 - bit) * jax.nn.log_sigmoid(-self.logits)
        return _sum_events(value, shape=self.shape)

    def entropy(self, *, key: KeyArray) -> Float[Array, "..."]:
        """Compute the entropy exactly; the key is not used."""
        one = jax.nn.sigmoid(self.logits)
        value = -one * jax.nn.log_sigmoid(self.logits) - (1.0 - one) * jax.nn.log_sigmoid(-self.logits)
        return _sum_events(value, shape=self.shape)

    def mode(self) -> Int[Array, "..."]:
        """Return each bit's more probable value (0 where both are equal)."""
        return (self.logits > 0.0).astype(jnp.int8)


DistributionTree: TypeAlias = Any
"""A distribution, or dicts and tuples of distribution trees."""


@tree_dataclass
class Joint(Distribution):
    """Independent distributions over the leaves of an action tree. The entropy is exact where all of its parts' are.

    :ivar parts: dicts and tuples of distributions, structured as the action.
    """

    parts: Mapping[str, DistributionTree] | tuple[DistributionTree, ...]

    def _leaves(self) -> list[Distribution]:
        return jax.tree.leaves(self.parts, is_leaf=_is_distribution)

    def _join(self, values: list[Any]) -> Tree:
        return jax.tree.unflatten(jax.tree.structure(self.parts, is_leaf=_is_distribution), values)

    def _leaf_actions(self, action: Tree) -> list[Any]:
        structure: Any = jax.tree.structure(self.parts, is_leaf=_is_distribution)
        return list(structure.flatten_up_to(action))

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample each leaf with a key of its own."""
        leaves = self._leaves()
        keys = jax.random.split(key, len(leaves))
        samples = [leaf.sample_with_log_prob(key=keys[index]) for index, leaf in enumerate(leaves)]
        return SampledAction(
            action=self._join([sample.action for sample in samples]),
            log_probability=_total([sample.log_probability for sample in samples]),
        )

    def log_prob(self, *, action: Tree) -> Float[Array, "..."]:
        """Sum the leaves' log-probabilities."""
        pairs = zip(self._leaves(), self._leaf_actions(action), strict=True)
        return _total([leaf.log_prob(action=part) for leaf, part in pairs])

    def fixed_spread_loss(self, *, action: Tree) -> Float[Array, "..."]:
        """Sum the leaves' losses."""
        pairs = zip(self._leaves(), self._leaf_actions(action), strict=True)
        return _total([leaf.fixed_spread_loss(action=part) for leaf, part in pairs])

    def entropy(self, *, key: KeyArray) -> Float[Array, "..."]:
        """Sum the leaves' entropies."""
        leaves = self._leaves()
        keys = jax.random.split(key, len(leaves))
        return _total([leaf.entropy(key=keys[index]) for index, leaf in enumerate(leaves)])

    def mode(self) -> Tree:
        """Return the leaves' modes."""
        return self._join([leaf.mode() for leaf in self._leaves()])


def _is_distribution(value: object) -> bool:
    return isinstance(value, Distribution)


def _total(values: list[Array]) -> Array:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
