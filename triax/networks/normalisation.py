"""Running statistics of observations and returns.

They change once per piece of experience and never per minibatch, travel with the policy's parameters, and are applied
in evaluation exactly as in training.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from triax.spaces import BoxLeaf, Leaf, SetLeaf, SpaceSpec
from triax.trees import Tree, replace, tree_dataclass
from triax.types import AnyArray


@tree_dataclass
class RunningMoments:
    """Mean and variance of everything seen so far, by the parallel update of Chan et al. 1983 (equation 2.1).

    :ivar count: how many values were seen, a scalar.
    :ivar mean: [*shape].
    :ivar variance: the population variance, [*shape].
    """

    count: Float[Array, ""]
    mean: Float[Array, "..."]
    variance: Float[Array, "..."]

    @classmethod
    def initial(cls, *, shape: tuple[int, ...]) -> "RunningMoments":
        """Begin with mean 0 and variance 1, which count for nothing once values have been seen.

        :param shape: of one value.
        :return: the moments.
        """
        return cls(count=jnp.zeros(()), mean=jnp.zeros(shape), variance=jnp.ones(shape))

    def updated(self, *, values: Float[AnyArray, "..."], valid: Bool[AnyArray, "..."]) -> "RunningMoments":
        """Take in a piece of experience.

        :param values: [..., *shape].
        :param valid: which of them count, [...].
        :return: the new moments.
        """
        axes = tuple(range(valid.ndim))
        mask = jnp.reshape(valid, valid.shape + (1,) * self.mean.ndim)
        new_count = jnp.sum(valid.astype(jnp.float32))
        divisor = jnp.maximum(new_count, 1.0)
        new_mean = jnp.sum(jnp.where(mask, values, 0.0), axis=axes) / divisor
        new_sum = jnp.sum(jnp.where(mask, jnp.square(values - new_mean), 0.0), axis=axes)
        total = self.count + new_count
        safe_total = jnp.maximum(total, 1.0)
        delta = new_mean - self.mean
        mean = self.mean + delta * new_count / safe_total
        sums = self.variance * self.count + new_sum + jnp.square(delta) * self.count * new_count / safe_total
        seen = total > 0.0
        return replace(
            self,
            count=total,
            mean=jnp.where(seen, mean, self.mean),
            variance=jnp.where(seen, sums / safe_total, self.variance),
        )

    def standardise(self, *, values: Float[AnyArray, "..."], limit: float = 10.0) -> Float[Array, "..."]:
        """Scale to mean 0 and variance 1; before anything was seen, leave the values as they are.

        A single value says nothing of the spread: by one, values are shifted and not scaled.

        :param values: [..., *shape].
        :param limit: results are clipped to ± this.
        :return: [..., *shape].
        """
        scaled = jnp.clip((values - self.mean) * jax.lax.rsqrt(self._variance()), -limit, limit)
        return jnp.where(self.count > 0.0, scaled, values)

    def unstandardise(self, *, values: Float[AnyArray, "..."]) -> Float[Array, "..."]:
        """Undo :meth:`standardise` (but for its clipping).

        :param values: [..., *shape].
        :return: [..., *shape].
        """
        return jnp.asarray(values) * jnp.sqrt(self._variance()) + self.mean

    def _variance(self) -> Float[Array, "..."]:
        return jnp.where(self.count > 1.0, self.variance, 1.0) + 1e-8


@tree_dataclass
class SetMoments:
    """Running moments of the elements of sets, whichever places these have. Padding counts for nothing and stays 0.

    :ivar elements: of one element.
    """

    elements: RunningMoments

    @classmethod
    def initial(cls, *, features: int) -> "SetMoments":
        """Begin with moments that change nothing.

        :param features: numbers in an element.
        :return: the moments.
        """
        return cls(elements=RunningMoments.initial(shape=(features,)))

    def updated(self, *, values: Float[AnyArray, "..."], valid: Bool[AnyArray, "..."]) -> "SetMoments":
        """Take in a piece of experience.

        :param values: [..., maximum, features + 1], the last column of which says whether a row is an element.
        :param valid: which of the sets count, [...].
        :return: the new moments.
        """
        present = (values[..., -1] > 0.5) & valid[..., None]
        return SetMoments(elements=self.elements.updated(values=values[..., :-1], valid=present))

    def standardise(self, *, values: Float[AnyArray, "..."]) -> Float[Array, "..."]:
        """Scale the elements to mean 0 and variance 1, see :meth:`RunningMoments.standardise`.

        :param values: [..., maximum, features + 1].
        :return: [..., maximum, features + 1].
        """
        present = values[..., -1:]
        return jnp.concatenate([self.elements.standardise(values=values[..., :-1]) * present, present], axis=-1)


@tree_dataclass
class ObservationStatistics:
    """Running moments of the continuous leaves of observations and of elements of sets; other leaves pass unchanged.

    :ivar moments: one entry for each leaf of the spec, in order; None where the leaf is neither.
    """

    moments: tuple[RunningMoments | SetMoments | None, ...]

    @classmethod
    def initial(cls, *, spec: SpaceSpec) -> "ObservationStatistics":
        """Begin with statistics that change nothing.

        :param spec: the observations' spec.
        :return: the statistics.
        """
        return cls(moments=tuple(_initial_moments(leaf) for leaf in spec.leaves()))

    def updated(self, *, observation: Tree, valid: Bool[AnyArray, "..."]) -> "ObservationStatistics":
        """Take in a piece of experience.

        :param observation: inside form, [..., *leaf shape].
        :param valid: which of them count, [...].
        :return: the new statistics.
        """
        pairs = zip(self.moments, jax.tree.leaves(observation), strict=True)
        return ObservationStatistics(
            moments=tuple(
                None if moments is None else moments.updated(values=leaf, valid=valid) for moments, leaf in pairs
            )
        )

    def normalise(self, *, observation: Tree) -> Tree:
        """Scale the continuous leaves and the elements of sets.

        :param observation: inside form, [..., *leaf shape].
        :return: the same structure.
        """
        leaves, structure = jax.tree.flatten(observation)
        pairs = zip(self.moments, leaves, strict=True)
        return jax.tree.unflatten(
            structure, [leaf if moments is None else moments.standardise(values=leaf) for moments, leaf in pairs]
        )


def _initial_moments(leaf: Leaf) -> RunningMoments | SetMoments | None:
    """Begin with moments of a leaf that change nothing; None for a leaf that has none."""
    match leaf:
        case BoxLeaf():
            return RunningMoments.initial(shape=leaf.shape)
        case SetLeaf():
            return SetMoments.initial(features=leaf.shape[1] - 1)
    return None
