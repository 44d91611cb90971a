"""REINFORCE: the actor-critic of the family that learns from returns to the end."""

from triax.learners.actor_critic.learner import ActorCritic


class Reinforce(ActorCritic):
    """REINFORCE, with or without a baseline; its parts are those that its config names."""
