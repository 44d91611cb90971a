"""Probes of the value function: the reward does not depend on the action, and each observation's value is known.

Between them they tell a wrong terminal value, an observation that is not looked at, a missing discount, and a time
limit that is taken for a termination.
"""

from typing import Any

from triax.environments.probes.base import ActionKind, Outcome, Probe, action_space_of, vector, vector_space


class ConstantRewardProbe(Probe):
    """One step, observation 0, reward 1, termination. V(0) = 1 for any discount."""

    def __init__(self, *, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param actions: kind of the action space; actions have no effect.
        """
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Reward with 1 and end."""
        return Outcome(observation=vector(0.0), reward=1.0, terminated=True)

    def value(self) -> float:
        """The value of the only observation.

        :return: 1.
        """
        return 1.0


class ObservedRewardProbe(Probe):
    """One step, observation −1 or +1 at even odds, reward equal to it, termination. V(o) = o."""

    def __init__(self, *, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param actions: kind of the action space; actions have no effect.
        """
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()
        self._shown = 0.0

    def begin(self) -> Any:
        """Show −1 or +1."""
        self._shown = float(self.np_random.choice([-1.0, 1.0]))
        return vector(self._shown)

    def advance(self, action: Any) -> Outcome:
        """Reward with what was shown and end."""
        return Outcome(observation=vector(0.0), reward=self._shown, terminated=True)

    def value(self, *, observation: float) -> float:
        """The value of an observation.

        :param observation: −1 or +1.
        :return: the same number.
        """
        return observation


class TwoStepProbe(Probe):
    """Two steps, observations 0 and then 1, reward 0 and then 1, termination. V(0) = γ and V(1) = 1."""

    def __init__(self, *, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param actions: kind of the action space; actions have no effect.
        """
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Show 1 without a reward; then reward with 1 and end."""
        if self.steps_made == 1:
            return Outcome(observation=vector(1.0), reward=0.0)
        return Outcome(observation=vector(-1.0), reward=1.0, terminated=True)

    def value(self, *, observation: float, discount: float) -> float:
        """The value of an observation.

        :param observation: 0 (first step) or 1 (second step).
        :param discount: γ.
        :return: γ or 1.
        """
        return discount if observation == 0.0 else 1.0


class EndlessRewardProbe(Probe):
    """Observation 0 and reward 1 for ever, cut off after ``steps`` steps by truncation. V(0) = 1 / (1 − γ).

    The time limit is not part of the task, so that the value does not depend on ``steps``. A learner that takes
    truncation for termination ends below: its fixed point with one-step targets is 1 / (1 − γ·(steps − 1)/steps).
    """

    def __init__(self, *, steps: int = 10, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param steps: steps until the truncation.
        :param actions: kind of the action space; actions have no effect.
        """
        self.steps = steps
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Reward with 1; truncate after the last step."""
        return Outcome(observation=vector(0.0), reward=1.0, truncated=self.steps_made >= self.steps)

    def value(self, *, discount: float) -> float:
        """The value of the only observation.

        :param discount: γ below 1.
        :return: 1 / (1 − γ).
        """
        return 1.0 / (1.0 - discount)

    def wrong_value(self, *, discount: float) -> float:
        """What one-step targets lead to if truncation is taken for termination: V = 1 + γ·V·(steps − 1)/steps.

        :param discount: γ.
        :return: a number below the true value.
        """
        return 1.0 / (1.0 - discount * (self.steps - 1) / self.steps)


class EndingRewardProbe(Probe):
    """The negative control: reward 1 a step, termination after ``steps`` steps, observation t / steps.

    V(t / steps) = (1 − γ^(steps − t)) / (1 − γ), a finite sum: 1 + γ + … over the steps that are left.
    """

    def __init__(self, *, steps: int = 10, actions: ActionKind = "discrete") -> None:
        """Make the spaces.

        :param steps: steps until the termination.
        :param actions: kind of the action space; actions have no effect.
        """
        self.steps = steps
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space(low=0.0)

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Reward with 1; terminate after the last step."""
        return Outcome(
            observation=vector(self.steps_made / self.steps), reward=1.0, terminated=self.steps_made >= self.steps
        )

    def value(self, *, step: int, discount: float) -> float:
        """The value before the step of this number.

        :param step: steps made so far, from 0.
        :param discount: γ.
        :return: the discounted sum of the rewards that are left.
        """
        return float(sum(discount**power for power in range(self.steps - step)))
