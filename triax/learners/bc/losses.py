"""The loss of cloning: the policy's distribution against the expert's actions, leaf by leaf."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.bc.config import BCConfig
from triax.learners.bc.state import BCMetrics
from triax.networks import Bernoulli, Categorical, Distribution, SquashedGaussian
from triax.objectives.averages import weighted_mean
from triax.objectives.checks import check_vectors
from triax.objectives.cloning import absolute_error, agreement, half_squared_error
from triax.random import KeyArray
from triax.trees import Tree


def cloning_loss(
    *, distribution: Distribution, action: Tree, weight: Float[Array, " N"], config: BCConfig
) -> Float[Array, ""]:
    """Compute the mean over rows of the sum over leaves of −log π(a*|o), or of ½ ‖a − a*‖² in continuous ones.

    Both are in nats (see :func:`triax.objectives.cloning.half_squared_error`), and leaves have no weights of their
    own: the sum is the negative log-likelihood of the whole action, with a fixed spread under squared errors.

    :param distribution: the policy at the recorded observations.
    :param action: the expert's, inside form, [N, ...].
    :param weight: of each row, [N].
    :param config: says which loss.
    :return: the loss.
    """
    if config.continuous_loss == "likelihood":
        losses = -distribution.log_prob(action=action)
    else:
        pairs = _leaf_pairs(distribution=distribution, action=action)
        losses = sum((_leaf_loss(leaf=leaf, action=part) for leaf, part in pairs), jnp.zeros(()))
    return weighted_mean(values=losses, weight=weight)


def cloning_metrics(
    *, distribution: Distribution, action: Tree, weight: Float[Array, " N"], loss: Float[Array, ""], key: KeyArray
) -> BCMetrics:
    """Compare the deterministic action with the expert's.

    :param distribution: the policy at the recorded observations.
    :param action: the expert's, inside form, [N, ...].
    :param weight: of each row, [N].
    :param loss: to be reported with the rest.
    :param key: for estimating entropies.
    :return: the metrics.
    """
    agreements, errors = [], []
    for chosen, expert in zip(jax.tree.leaves(distribution.mode()), jax.tree.leaves(action), strict=True):
        if jnp.issubdtype(chosen.dtype, jnp.floating):
            errors.append(weighted_mean(values=absolute_error(chosen=chosen, expert=expert), weight=weight))
        else:
            agreements.append(weighted_mean(values=agreement(chosen=chosen, expert=expert), weight=weight))
    entropy = distribution.entropy(key=key)
    check_vectors(entropy=entropy, weight=weight)
    return BCMetrics(
        loss=loss,
        agreement=jnp.mean(jnp.stack(agreements)) if agreements else jnp.ones(()),
        absolute_error=jnp.mean(jnp.stack(errors)) if errors else jnp.zeros(()),
        entropy=weighted_mean(values=entropy, weight=weight),
    )


def _leaf_pairs(*, distribution: Distribution, action: Tree) -> list[tuple[Distribution, Array]]:
    """Pair the distributions of the leaves with the expert's actions at their places."""
    leaves = jax.tree.leaves(distribution, is_leaf=_is_leaf_distribution)
    return list(zip(leaves, jax.tree.leaves(action), strict=True))


def _is_leaf_distribution(value: object) -> bool:
    return isinstance(value, SquashedGaussian | Categorical | Bernoulli)


def _leaf_loss(*, leaf: Distribution, action: Array) -> Float[Array, " N"]:
    if isinstance(leaf, SquashedGaussian):
        return half_squared_error(chosen=leaf.mode(), expert=action)
    return -leaf.log_prob(action=action)
