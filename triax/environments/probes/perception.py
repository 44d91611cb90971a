"""Probes of what a policy perceives: an image to be read, and a bit to be remembered."""

from typing import Any

import gymnasium
import numpy as np

from triax.environments.probes.base import Outcome, Probe, action_space_of, vector, vector_space


class ImageProbe(Probe):
    """One step; a uint8 image whose left or right half is lit; reward 1 for naming the half (0 left, 1 right).

    Best return 1, random 1/2. The brightness over the whole image says nothing: one half is always lit.
    """

    best_return = 1.0
    random_return = 0.5

    def __init__(self, *, size: int = 12) -> None:
        """Make the spaces.

        :param size: height and width in pixels, an even number.
        :raises ValueError: if it is odd or not positive.
        """
        if size <= 0 or size % 2:
            raise ValueError(f"ImageProbe: `size` has to be positive and even, so that it has halves, and is {size}.")
        self.size = size
        self.action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = gymnasium.spaces.Box(0, 255, (size, size, 1), np.uint8)
        self._side = 0

    def begin(self) -> Any:
        """Light one half."""
        self._side = int(self.np_random.integers(2))
        image = np.zeros((self.size, self.size, 1), dtype=np.uint8)
        half = self.size // 2
        image[:, self._side * half : (self._side + 1) * half] = 255
        return image

    def advance(self, action: Any) -> Outcome:
        """Reward the right side and end with a dark image."""
        dark = np.zeros((self.size, self.size, 1), dtype=np.uint8)
        return Outcome(observation=dark, reward=float(int(action) == self._side), terminated=True)


class MemoryProbe(Probe):
    """Three steps; a bit is shown at the first and asked for at the third. Observation: (cue, asked).

    ====  ==================  ======================================
    step  observation         reward of the action taken here
    ====  ==================  ======================================
    1     (−1 or +1, 0)       0
    2     (0, 0)              0
    3     (0, 1)              1 if the action is 0 for −1, 1 for +1
    ====  ==================  ======================================

    Best return 1, with a memory alone; random, and best of all policies without a memory, 1/2.
    """

    best_return = 1.0
    random_return = 0.5

    def __init__(self) -> None:
        """Make the spaces."""
        self.action_space = action_space_of("discrete")
        self.observation_space = vector_space(size=2)
        self._bit = 0

    def begin(self) -> Any:
        """Show the bit."""
        self._bit = int(self.np_random.integers(2))
        return vector(2.0 * self._bit - 1.0, 0.0)

    def advance(self, action: Any) -> Outcome:
        """Show nothing, then ask, then reward and end."""
        if self.steps_made < 3:
            return Outcome(observation=vector(0.0, float(self.steps_made == 2)), reward=0.0)
        return Outcome(observation=vector(0.0, 0.0), reward=float(int(action) == self._bit), terminated=True)
