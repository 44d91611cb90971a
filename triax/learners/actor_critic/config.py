"""What can be set in every actor-critic of the family; what an algorithm adds or sets otherwise is in its folder."""

import abc
import dataclasses

from triax.learners.actor_critic.advantages import AdvantageEstimator
from triax.learners.actor_critic.losses import (
    ActorCriticTerm,
    ApproximateKL,
    ExplainedVariance,
    Surrogate,
    ValueLoss,
)
from triax.learners.optimizer import GradientTransformation, OptimizerConfig, by_part
from triax.learners.terms import EntropyBonus, Scheduled, lowest_value
from triax.networks import ActionHeadConfig, MLPConfig, NetworkConfig


def small_network() -> NetworkConfig:
    """Describe two layers of 64 units; sizes of Schulman et al. 2017, orthogonal weights as OpenAI Baselines.

    :return: the config.
    """
    return NetworkConfig(
        torso=MLPConfig(hidden=(64, 64), activation="tanh", initialisation="orthogonal", scale=2.0**0.5)
    )


def small_head() -> ActionHeadConfig:
    """Describe a head whose policy is almost the same everywhere at first.

    :return: the config.
    """
    return ActionHeadConfig(state_dependent_std=False, initialisation="orthogonal", scale=0.01)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCriticConfig(abc.ABC):
    """The parts of an actor-critic.

    An algorithm is a choice of them: a subclass that says which estimator of advantages and which surrogate it has, and
    has a method ``build``.
    """

    discount: float = 0.99
    """γ, in [0, 1]."""
    steps: int
    """Steps of each environment between updates. Chunks of one step, used once, are a stream."""
    epochs: int = 1
    """Passes over these steps."""
    minibatch_size: int | None = None
    """Steps an update; None: all of the chunk, of every environment."""
    value_coefficient: Scheduled = 0.5
    """Weight of the value loss; it has no part in the policy's gradient, since networks are not shared."""
    clip_value_range: float | None = None
    """How far an update's values may leave those before the updates until the gradient vanishes, in their own units
    (standard deviations, if returns are normalised); None: not clipped."""
    entropy_coefficient: Scheduled = 0.0
    """Weight of the entropy bonus."""
    further_terms: tuple[ActorCriticTerm, ...] = ()
    """Added to the loss: terms of your own, or penalties such as
    :class:`~triax.learners.actor_critic.losses.ReverseKL`."""
    stop_at_kl: float | None = None
    """An update whose minibatch is further than this from the policy that acted (estimated KL, nats) is not made, and
    the epochs end. The number is taken as it is, not times 1.5; 0.015 is usual. None: all epochs are made."""
    normalise_advantages: bool = False
    """Whether advantages are scaled to mean 0 and standard deviation 1 in each minibatch; not for minibatches of a few
    rows (of one row, nothing is left)."""
    normalise_observations: bool = False
    """Whether observations are scaled by their running mean and variance."""
    normalise_returns: bool = True
    """Whether the value network learns returns scaled by their running mean and variance, so that its gradient has the
    same size whatever the scale of rewards. Not for chunks of few steps, whose returns are values for the greatest
    part: both can grow with the deviation, and it with them, until nothing is finite."""
    actor: NetworkConfig = dataclasses.field(default_factory=small_network)
    """The policy's network; shares nothing with the critic's. Orthogonal weights as in OpenAI Baselines."""
    actor_head: ActionHeadConfig = dataclasses.field(default_factory=small_head)
    """The policy's last layer: almost the same policy everywhere at first, its spread a parameter of its own."""
    critic: NetworkConfig = dataclasses.field(default_factory=small_network)
    """The value network."""
    optimizer: OptimizerConfig = dataclasses.field(
        default_factory=lambda: OptimizerConfig(max_gradient_norm=0.5, epsilon=1e-5)
    )
    """For both networks: one gradient of one objective, clipped as a whole. Clipping and epsilon as OpenAI
    Baselines."""
    critic_optimizer: OptimizerConfig | None = None
    """For the value network alone; then ``optimizer`` is for the policy alone, and each clips its own gradient."""

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            (0.0 <= self.discount <= 1.0, "discount", "must lie in [0, 1]"),
            (self.steps >= 1, "steps", "must be at least 1"),
            (self.epochs >= 1, "epochs", "must be at least 1"),
            (self.minibatch_size is None or self.minibatch_size >= 1, "minibatch_size", "must be at least 1, or None"),
            (lowest_value(self.value_coefficient) >= 0.0, "value_coefficient", "must be at least 0"),
            (self.clip_value_range is None or self.clip_value_range > 0.0, "clip_value_range", "must be above 0"),
            (lowest_value(self.entropy_coefficient) >= 0.0, "entropy_coefficient", "must be at least 0"),
            (self.stop_at_kl is None or self.stop_at_kl > 0.0, "stop_at_kl", "must be above 0"),
        )
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"{type(self).__name__}.{name}={getattr(self, name)!r} {rule}.")

    @property
    @abc.abstractmethod
    def estimator(self) -> AdvantageEstimator:
        """How advantages are estimated."""

    @property
    @abc.abstractmethod
    def policy_term(self) -> Surrogate:
        """What the policy minimises."""

    @property
    def terms(self) -> tuple[ActorCriticTerm, ...]:
        """All terms of the loss, and what is watched."""
        watched = (ApproximateKL(weight=0.0), ExplainedVariance())
        named = {term.label for term in self.further_terms}
        return (
            self.policy_term,
            ValueLoss(weight=self.value_coefficient, clip_range=self.clip_value_range),
            EntropyBonus(weight=self.entropy_coefficient),
            *self.further_terms,
            *(term for term in watched if term.label not in named),
        )

    def build_optimizer(self) -> GradientTransformation:
        """Build what turns gradients of :class:`~triax.learners.actor_critic.state.ActorCriticNetworks` into updates.

        :return: an Optax chain.
        """
        if self.critic_optimizer is None:
            return self.optimizer.build()
        return by_part(optimizers={"actor": self.optimizer.build(), "critic": self.critic_optimizer.build()})
