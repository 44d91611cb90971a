"""Exploration noise: what a Gaussian policy multiplies its spread with when it acts.

White noise is the policy as it stands. Noise that is correlated in time makes excursions that white noise does not,
which some tasks cannot do without (MountainCarContinuous). Each single value is standard normal either way, so every
action is distributed as the policy says; only successive ones are no longer independent. The state of the noise is
the policy's carry.
"""

import dataclasses
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.random import KeyArray
from triax.trees import tree_dataclass, tree_select


@tree_dataclass
class Noise:
    """One step of noise.

    :ivar value: each component standard normal, [B, components].
    :ivar carry: the process's state, [B, ...]; an empty tuple for white noise.
    """

    value: Float[Array, "B components"]
    carry: tuple[Float[Array, "B processes components"], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WhiteNoise:
    """Independent in time."""

    def initial_carry(self, *, batch_shape: tuple[int, ...], components: int) -> tuple[Array, ...]:
        """Make the state: there is none."""
        return ()

    def step(self, *, carry: tuple[Array, ...], is_first: Bool[Array, " B"], components: int, key: KeyArray) -> Noise:
        """Draw the next values.

        :param carry: the state.
        :param is_first: where an episode begins, [B].
        :param components: how many values each.
        :param key: randomness.
        :return: values and the new state.
        """
        return Noise(value=jax.random.normal(key, (*is_first.shape, components)), carry=())


@dataclasses.dataclass(frozen=True, kw_only=True)
class PinkNoise:
    """Power falls with 1/f between the shortest and the longest time, recommended by Eberhard et al. 2023 for
    exploration.

    The sum of independent first-order processes with relaxation times of 1, 2, 4, … steps, all of equal variance:
    each adds the same power to its own octave. An episode begins in the stationary distribution.
    """

    octaves: int = 10
    """The number of processes; the longest relaxation time is 2^(octaves − 1) steps."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.octaves < 1:
            raise ValueError(f"octaves={self.octaves} must be at least 1.")

    def initial_carry(self, *, batch_shape: tuple[int, ...], components: int) -> tuple[Array, ...]:
        """Make the state: zeros, until it is drawn at the first step."""
        return (jnp.zeros((*batch_shape, self.octaves, components)),)

    def step(self, *, carry: tuple[Array, ...], is_first: Bool[Array, " B"], components: int, key: KeyArray) -> Noise:
        """Draw the next values; parameters as of :meth:`WhiteNoise.step`."""
        (processes,) = carry
        keep = jnp.exp(-1.0 / 2.0 ** jnp.arange(self.octaves))[:, None]
        fresh = jax.random.normal(key, processes.shape)
        going_on = keep * processes + jnp.sqrt(1.0 - jnp.square(keep)) * fresh
        # The first step need not be an episode's: random actions may have come before it.
        begins = is_first | jnp.all(processes == 0.0, axis=(-2, -1))
        processes = tree_select(where=begins, true=fresh, false=going_on)
        return Noise(value=jnp.sum(processes, axis=-2) / jnp.sqrt(float(self.octaves)), carry=(processes,))


ExplorationNoise: TypeAlias = WhiteNoise | PinkNoise
