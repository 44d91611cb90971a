"""Probes of the policy: the reward of a single step depends on the action, in every kind of action space.

``best_return`` is what the best policy earns; ``random_return`` is the mean of a uniform random one, which a test's
threshold has to lie well above. For a number a uniform in [-1, 1], E(a − c)² = 1/3 + c².
"""

from typing import Any, Literal

import gymnasium
import numpy as np

from triax.environments.probes.base import Outcome, Probe, action_space_of, vector, vector_space

SimpleKind = Literal["discrete", "continuous"]


class ActionProbe(Probe):
    """One step, observation 0; the reward depends on the action alone.

    - discrete: three choices, reward 1 for the right one and 0 otherwise. Best return 1, random 1/3.
    - continuous: a in [-1, 1], reward −(a − c)². Best return 0 at a = c, random −(1/3 + c²).
    """

    def __init__(self, *, actions: SimpleKind = "discrete", right_choice: int = 2, centre: float = 0.5) -> None:
        """Make the spaces.

        :param actions: kind of the action space.
        :param right_choice: the rewarded choice of the discrete kind: 0, 1 or 2.
        :param centre: c of the continuous kind.
        """
        self.right_choice = right_choice
        self.centre = centre
        self.discrete = actions == "discrete"
        self.action_space = gymnasium.spaces.Discrete(3) if self.discrete else action_space_of("continuous")
        self.observation_space = vector_space()
        self.best_return = 1.0 if self.discrete else 0.0
        self.random_return = 1.0 / 3.0 if self.discrete else -(1.0 / 3.0 + centre**2)

    def begin(self) -> Any:
        """Show 0."""
        return vector(0.0)

    def advance(self, action: Any) -> Outcome:
        """Reward the action and end."""
        reward = float(action == self.right_choice) if self.discrete else -((float(action[0]) - self.centre) ** 2)
        return Outcome(observation=vector(0.0), reward=reward, terminated=True)


class ActionObservationProbe(Probe):
    """One step; the reward depends on the action and the observation.

    - discrete: a bit, 0 or 1, is shown; reward 1 if the choice equals it and 0 otherwise. Best return 1, random 1/2.
    - continuous: o uniform in [-1, 1] is shown; reward −(a − o)². Best return 0, random −2/3, since E o² = 1/3.
    """

    def __init__(self, *, actions: SimpleKind = "discrete") -> None:
        """Make the spaces.

        :param actions: kind of the action space.
        """
        self.discrete = actions == "discrete"
        self.action_space = action_space_of(actions)
        self.observation_space = vector_space()
        self.best_return = 1.0 if self.discrete else 0.0
        self.random_return = 0.5 if self.discrete else -2.0 / 3.0
        self._shown = np.float32(0.0)

    def begin(self) -> Any:
        """Show the bit or the number."""
        drawn = self.np_random.integers(2) if self.discrete else self.np_random.uniform(-1.0, 1.0)
        # Rounded as it is shown, so that the best action earns exactly 0.
        self._shown = np.float32(drawn)
        return vector(float(self._shown))

    def advance(self, action: Any) -> Outcome:
        """Reward the action and end."""
        shown = float(self._shown)
        reward = float(int(action) == int(shown)) if self.discrete else -((float(action[0]) - shown) ** 2)
        return Outcome(observation=vector(0.0), reward=reward, terminated=True)


class MixedActionProbe(Probe):
    """One step, a Dict of a choice and an amount; observation o is −1 or +1.

    Reward: 1 if the choice is the right one (1 at o = +1, 0 at o = −1), minus (amount − o/2)².
    Best return 1. Random: 1/2 − (1/3 + 1/4) = −1/12.
    """

    best_return = 1.0
    random_return = -1.0 / 12.0

    def __init__(self) -> None:
        """Make the spaces."""
        self.action_space = action_space_of("mixed")
        self.observation_space = vector_space()
        self._shown = 0.0

    def begin(self) -> Any:
        """Show −1 or +1."""
        self._shown = float(self.np_random.choice([-1.0, 1.0]))
        return vector(self._shown)

    def advance(self, action: Any) -> Outcome:
        """Reward both parts and end."""
        right = int(action["choice"]) == int(self._shown > 0.0)
        reward = float(right) - (float(action["amount"][0]) - self._shown / 2.0) ** 2
        return Outcome(observation=vector(0.0), reward=reward, terminated=True)


class NestedActionProbe(Probe):
    """One step, a Tuple of MultiDiscrete([3, 2]), MultiBinary(2) and a Dict with an amount; o is −1 or +1.

    Right at o = +1 are (2, 1), (1, 0) and the amount 1/2; at o = −1 they are (0, 0), (0, 1) and −1/2.
    Reward: 1 for each of the four discrete parts that is right, minus the square of the amount's error.
    Best return 4. Random: (1/3 + 1/2) + (1/2 + 1/2) − (1/3 + 1/4) = 5/4.
    """

    best_return = 4.0
    random_return = 1.25

    def __init__(self) -> None:
        """Make the spaces."""
        self.action_space = action_space_of("nested")
        self.observation_space = vector_space()
        self._shown = 0.0

    def begin(self) -> Any:
        """Show −1 or +1."""
        self._shown = float(self.np_random.choice([-1.0, 1.0]))
        return vector(self._shown)

    def advance(self, action: Any) -> Outcome:
        """Reward all parts and end."""
        choices, bits, rest = action
        right_choices, right_bits = ([2, 1], [1, 0]) if self._shown > 0.0 else ([0, 0], [0, 1])
        right = np.sum(np.equal(choices, right_choices)) + np.sum(np.equal(bits, right_bits))
        reward = float(right) - (float(rest["amount"][0]) - self._shown / 2.0) ** 2
        return Outcome(observation=vector(0.0), reward=reward, terminated=True)
