"""What changes while Stream AC(λ) learns, and what it learns from."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from triax.learners.optimizer import Trainable
from triax.networks import ObservationStatistics
from triax.trees import Tree, tree_dataclass


@tree_dataclass
class StreamNetworks:
    """The parameters of both networks; eligibility traces have the same structure.

    :ivar actor: of the policy.
    :ivar critic: of the value network.
    """

    actor: Tree
    critic: Tree


@tree_dataclass
class RewardScale:
    """The running deviation about 0 of discounted sums of rewards.

    Elsayed et al. 2024 (arXiv:2410.14606), algorithms 4 and 5::

        u ← γ u + r,   n ← n + 1,   p ← p + u (u − u / n),   σ² = p / (n − 1), and 1 for n = 1

    The sum begins anew in each episode.

    :ivar discounted_sum: u.
    :ivar squares: p.
    :ivar count: n.
    """

    discounted_sum: Float[Array, ""]
    squares: Float[Array, ""]
    count: Float[Array, ""]

    @classmethod
    def initial(cls) -> "RewardScale":
        """Begin with nothing.

        :return: the scale of no rewards.
        """
        return cls(discounted_sum=jnp.zeros(()), squares=jnp.zeros(()), count=jnp.zeros(()))

    def updated(
        self, *, reward: Float[Array, ""], valid: Bool[Array, ""], begins: Bool[Array, ""], discount: float
    ) -> "RewardScale":
        """Take in a reward.

        :param reward: r.
        :param valid: whether there was one; where not, the episode is over.
        :param begins: whether it is an episode's first. The one before need not have come to its end: a worker that
            fails, or a run that is resumed, breaks the stream.
        :param discount: γ.
        :return: the new scale.
        """
        before = jnp.where(begins, 0.0, self.discounted_sum)
        total = jnp.where(valid, discount * before + reward, 0.0)
        count = self.count + valid
        squares = self.squares + total * (total - total / jnp.maximum(count, 1.0))
        return RewardScale(discounted_sum=total, squares=squares, count=count)

    def scaled(self, *, reward: Float[Array, "..."]) -> Float[Array, "..."]:
        """Divide by σ.

        :param reward: r, [...].
        :return: [...].
        """
        variance = jnp.where(self.count > 1.0, self.squares / jnp.maximum(self.count - 1.0, 1.0), 1.0)
        return reward / jnp.sqrt(variance + 1e-8)


@tree_dataclass
class StreamACState:
    """All that Stream AC(λ) learns.

    :ivar networks: the parameters of actor and critic.
    :ivar traces: their eligibility traces; 0 between episodes.
    :ivar statistics: of all observations so far; None unless they are normalised.
    :ivar reward_scale: of all rewards so far; None unless they are scaled.
    :ivar updates: updates so far.
    """

    networks: Trainable
    traces: StreamNetworks
    statistics: ObservationStatistics | None
    reward_scale: RewardScale | None
    updates: Int[Array, ""]


@tree_dataclass
class StreamedStep:
    """One step as it is learned from; N = 1.

    :ivar observation: as the policy sees it, [N, ...].
    :ivar action: as the policy chose it, [N, ...].
    :ivar reward: scaled, [N].
    :ivar discount: γ; 0 if the step terminated, [N].
    :ivar next_observation: scaled like the observation, [N, ...].
    :ivar valid: whether an action was taken, [N].
    :ivar is_first: whether it is an episode's first step, [N].
    """

    observation: Tree
    action: Tree
    reward: Float[Array, " N"]
    discount: Float[Array, " N"]
    next_observation: Tree
    valid: Bool[Array, " N"]
    is_first: Bool[Array, " N"]
