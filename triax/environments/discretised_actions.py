"""Box actions made discrete, for learners and questions that want them so.

All take any environment whose action space is a bounded Box. An actuator's middle is the middle of its bounds, which is
0 for most.
"""

from typing import Any, Generic, TypeVar

import gymnasium
import numpy as np
import numpy.typing as npt

from triax.environments.checks import check_action

Chosen = TypeVar("Chosen")

_MOST_CHOICES = 100_000
"""A head with more outputs than this is nobody's intention."""


class _BoxActions(
    gymnasium.ActionWrapper[Any, Chosen, npt.NDArray[Any]], gymnasium.utils.RecordConstructorArgs, Generic[Chosen]
):
    """What the wrappers have in common: the wrapped Box."""

    def __init__(self, env: gymnasium.Env[Any, Any], **arguments: Any) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, **arguments)
        gymnasium.ActionWrapper.__init__(self, env)
        box = env.action_space
        if not isinstance(box, gymnasium.spaces.Box) or not box.is_bounded():
            raise ValueError(f"{type(self).__name__} needs a Box with bounds as the action space, and got {box}.")
        self._box = box
        self._size = int(np.prod(box.shape))

    def _at(self, shares: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Find the action between the bounds.

        :param shares: for each actuator, 0 for its lower bound and 1 for the upper one.
        :return: a member of the Box.
        """
        low, high = self._box.low, self._box.high
        between: npt.NDArray[Any] = low + shares.reshape(self._box.shape) * (high - low)
        # The clip takes off what rounding may add at the ends of the range.
        action: npt.NDArray[Any] = np.clip(between, low, high).astype(self._box.dtype)
        return action


class DiscreteAction(_BoxActions[np.int64]):
    """``Discrete(3ⁿ)``: each of n actuators at its lower bound, in the middle, or at its upper bound.

    The action Σᵢ dᵢ·3ⁱ has dᵢ = 0, 1 or 2 for these, i = 0 being the first actuator.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Wrap an environment.

        :param env: an environment with a bounded Box of actions.
        :raises ValueError: if its actions are others, or there would be more than 100,000 choices.
        """
        super().__init__(env)
        if 3**self._size > _MOST_CHOICES:
            raise ValueError(
                f"DiscreteAction of {self._size} actuators would have 3^{self._size} choices, more than "
                f"{_MOST_CHOICES:,}. Take BangBangAction or LevelAction, whose choices are independent."
            )
        self.action_space = gymnasium.spaces.Discrete(3**self._size)

    def action(self, action: np.int64) -> npt.NDArray[Any]:
        """Turn a choice into a member of the Box.

        :param action: in [0, 3ⁿ).
        :return: the wrapped environment's action.
        :raises gymnasium.error.InvalidAction: if it is another one.
        """
        check_action(action=action, space=self.action_space)
        return self._at(int(action) // 3 ** np.arange(self._size) % 3 / 2.0)


class BangBangAction(_BoxActions[npt.NDArray[np.int8]]):
    """``MultiBinary(n)``: each actuator at its lower (0) or its upper (1) bound, n independent choices."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Wrap an environment.

        :param env: an environment with a bounded Box of actions.
        :raises ValueError: if its actions are others.
        """
        super().__init__(env)
        self.action_space = gymnasium.spaces.MultiBinary(self._size)

    def action(self, action: npt.NDArray[np.int8]) -> npt.NDArray[Any]:
        """Turn choices into a member of the Box.

        :param action: int8 (n,) of 0 and 1.
        :return: the wrapped environment's action.
        :raises gymnasium.error.InvalidAction: if it is another one.
        """
        check_action(action=action, space=self.action_space)
        return self._at(np.asarray(action, np.float64))


class LevelAction(_BoxActions[Any]):
    """Each actuator at one of some levels, evenly spaced from bound to bound.

    ``Discrete(levels)`` for one actuator, ``MultiDiscrete`` of so many levels each for several.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], *, levels: int = 11) -> None:
        """Wrap an environment.

        :param env: an environment with a bounded Box of actions.
        :param levels: how many; an odd number has the middle among them.
        :raises ValueError: if its actions are others, or there are less than two levels.
        """
        super().__init__(env, levels=levels)
        if levels < 2:
            raise ValueError(f"LevelAction: `levels` has to be at least 2, and is {levels}.")
        self._levels = levels
        single = self._size == 1
        self.action_space = (
            gymnasium.spaces.Discrete(levels) if single else gymnasium.spaces.MultiDiscrete([levels] * self._size)
        )

    def action(self, action: Any) -> npt.NDArray[Any]:
        """Turn levels into a member of the Box.

        :param action: integers in [0, levels): one, or (n,).
        :return: the wrapped environment's action.
        :raises gymnasium.error.InvalidAction: if it is another one.
        """
        check_action(action=action, space=self.action_space)
        return self._at(np.atleast_1d(np.asarray(action, np.float64)) / (self._levels - 1))
