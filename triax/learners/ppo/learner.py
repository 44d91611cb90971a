"""PPO: the actor-critic of the family whose surrogate is clipped."""

from triax.learners.actor_critic.learner import ActorCritic


class PPO(ActorCritic):
    """Proximal policy optimisation; its parts are those that its config names."""
