"""A2C: the actor-critic of the family whose parts are all fields of its config."""

from triax.learners.actor_critic.learner import ActorCritic


class A2C(ActorCritic):
    """Advantage actor-critic; its parts are those that its config names."""
