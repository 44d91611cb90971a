"""Heads: from features to a distribution over actions of independent parts.

Where the parts hang together, see :mod:`triax.networks.choice_heads`.
"""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, assert_never

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from triax.networks.distributions import Bernoulli, Categorical, Distribution, Joint, SquashedGaussian
from triax.networks.mlp import Initialisation, kernel_initialiser
from triax.spaces import BinaryLeaf, BoxLeaf, DiscreteLeaf, SpaceSpec, UnsupportedSpace
from triax.trees import Tree

LogStdBounds = Literal["smooth", "clip"]

NOTHING: Mapping[str, Any] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActionHeadConfig:
    """The last layer of a policy."""

    state_dependent_std: bool = True
    """Whether the Gaussians' spread is an output of the network, or a parameter of its own for each component."""
    initial_log_std: float = 0.0
    """Where log σ begins."""
    lowest_log_std: float = -10.0
    """log σ stays above this."""
    highest_log_std: float = 2.0
    """log σ stays below this."""
    log_std_bounds: LogStdBounds = "smooth"
    """How it is kept there: by a curve whose slope is never 0, or cut off, as the literature on SAC has it."""
    initialisation: Initialisation = "lecun_normal"
    """How the weights begin."""
    scale: float = 1.0
    """A factor on the initial weights; 0.01 is usual for PPO."""
    listed_choices: int = 64
    """The largest number of joint choices that are listed, so that expectations over them are exact; actions with more
    are factored."""
    parameters_see_choice: bool = True
    """Whether continuous parameters depend on what is chosen, in actions that mix both."""
    sampled_choices: int = 8
    """How many joint choices stand for all of them where choices are factored, at least 2: with more there is less
    noise, and critics are evaluated more often."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.lowest_log_std < self.initial_log_std < self.highest_log_std:
            raise ValueError(
                f"initial_log_std={self.initial_log_std} must lie between lowest_log_std={self.lowest_log_std} and "
                f"highest_log_std={self.highest_log_std}."
            )
        if self.listed_choices < 1:
            raise ValueError(f"listed_choices={self.listed_choices} must be at least 1.")
        if self.sampled_choices < 2:
            raise ValueError(f"sampled_choices={self.sampled_choices} must be at least 2.")


class ActionHead(nnx.Module):
    """A linear layer whose outputs are the parameters of a distribution over an action tree.

    log σ is cut off at its bounds, or bounded by the smooth curve of Chua et al. 2018 (appendix A.1), close to the
    identity between them::

        y = c − softplus(c − x);   log σ = lowest + softplus(y − lowest)

    with c such that log σ goes to ``highest`` for large x (it is ``highest`` itself in the paper, whose curve goes a
    little beyond it).
    """

    def __init__(self, *, config: ActionHeadConfig, spec: SpaceSpec, inputs: int, rngs: nnx.Rngs) -> None:
        self.spec = spec
        self.config = config
        self.sizes = tuple(_parameter_count(leaf=leaf, config=config) for leaf in spec.leaves())
        initialiser = kernel_initialiser(name=config.initialisation, scale=config.scale)
        self.linear = nnx.Linear(inputs, sum(self.sizes), kernel_init=initialiser, rngs=rngs)
        continuous = sum(math.prod(leaf.shape) for leaf in spec.leaves() if isinstance(leaf, BoxLeaf))
        if continuous > 0 and not config.state_dependent_std:
            self.free_log_std = nnx.Param(jnp.zeros((continuous,), jnp.float32))

    def __call__(
        self, features: Float[Array, "*batch inputs"], observation: Tree = (), elements: Mapping[str, Array] = NOTHING
    ) -> Distribution:
        """Make the distribution.

        :param features: [..., inputs].
        :param observation: not used.
        :param elements: not used.
        :return: a distribution over actions with leading axes [...].
        """
        outputs = self.linear(features)
        parts: list[Distribution] = []
        start, free_start = 0, 0
        for leaf, size in zip(self.spec.leaves(), self.sizes, strict=True):
            values = outputs[..., start : start + size]
            start += size
            if isinstance(leaf, BoxLeaf):
                components = math.prod(leaf.shape)
                mean = values[..., :components]
                if self.config.state_dependent_std:
                    raw_log_std = values[..., components:]
                else:
                    raw_log_std = jnp.broadcast_to(self.free_log_std[free_start : free_start + components], mean.shape)
                    free_start += components
                parts.append(self._gaussian(leaf=leaf, mean=mean, raw_log_std=raw_log_std))
            elif isinstance(leaf, DiscreteLeaf):
                logits = jnp.reshape(values, (*values.shape[:-1], len(leaf.sizes), max(leaf.sizes)))
                parts.append(Categorical(logits=logits, sizes=leaf.sizes, shape=leaf.shape))
            else:
                logits = jnp.reshape(values, (*values.shape[:-1], *leaf.shape))
                parts.append(Bernoulli(logits=logits, shape=leaf.shape))
        return parts[0] if not isinstance(self.spec.tree, dict | tuple) else Joint(parts=self._as_tree(parts))

    def _gaussian(self, *, leaf: BoxLeaf, mean: Array, raw_log_std: Array) -> SquashedGaussian:
        shape = (*mean.shape[:-1], *leaf.shape)
        log_std = bounded_log_std(raw=raw_log_std, config=self.config)
        return SquashedGaussian(mean=jnp.reshape(mean, shape), log_std=jnp.reshape(log_std, shape), shape=leaf.shape)

    def _as_tree(self, parts: list[Distribution]) -> Any:
        iterator = iter(parts)
        return self.spec.map_leaves(lambda _: next(iterator))


def bounded_log_std(*, raw: Float[Array, "..."], config: ActionHeadConfig) -> Float[Array, "..."]:
    """Bound log σ; see :class:`ActionHead`.

    :param raw: any real numbers; 0 stands for ``initial_log_std``.
    :param config: the bounds.
    :return: numbers between the bounds.
    """
    match config.log_std_bounds:
        case "clip":
            return jnp.clip(config.initial_log_std + raw, config.lowest_log_std, config.highest_log_std)
        case "smooth":
            return _smoothly_bounded(raw=raw, config=config)
        case unknown:
            assert_never(unknown)


def _smoothly_bounded(*, raw: Array, config: ActionHeadConfig) -> Array:
    low, high, initial = config.lowest_log_std, config.highest_log_std, config.initial_log_std
    # The lower softplus adds a little at the upper end (much, if the bounds are close): the upper one stops before it.
    ceiling = low + _inverse_softplus(high - low)
    # The curve is shifted so that raw = 0 gives the initial value exactly.
    below = low + _inverse_softplus(initial - low)
    shift = ceiling - _inverse_softplus(ceiling - below)
    upper_bounded = ceiling - jax.nn.softplus(ceiling - (raw + shift))
    return low + jax.nn.softplus(upper_bounded - low)


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))


def _parameter_count(*, leaf: Any, config: ActionHeadConfig) -> int:
    if isinstance(leaf, BoxLeaf):
        return math.prod(leaf.shape) * (2 if config.state_dependent_std else 1)
    if isinstance(leaf, DiscreteLeaf):
        return len(leaf.sizes) * max(leaf.sizes)
    if isinstance(leaf, BinaryLeaf):
        return math.prod(leaf.shape)
    raise UnsupportedSpace(f"no distribution over {leaf} as an action.")
