"""MixedAction2D as a purely continuous task, for learners that know Box actions alone.

The wrapped action is a Box of numbers in [-1, 1]: first one score for each discrete choice, of which the greatest
wins (the first one, if several are equal), then the two amounts to move by. A policy over this Box does not know
which of its numbers matter together; that is the price of the mapping.
"""

from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt

from triax.environments.checks import check_action

Scores = npt.NDArray[np.float32]


class ContinuousMixedAction(
    gymnasium.ActionWrapper[Any, Scores, dict[str, Any]], gymnasium.utils.RecordConstructorArgs
):
    """Map ``Dict(choice=Discrete(n), move=Box(k))`` to ``Box(-1, 1, (n + k,))``: n scores, then k amounts."""

    #: The number of choices that the wrapped environment must have; None for any.
    choices: ClassVar[int | None] = None

    def __init__(self, env: gymnasium.Env[Any, dict[str, Any]]) -> None:
        """Wrap an environment.

        :param env: an environment with the action space above, such as MixedAction2D.
        :raises ValueError: if its action space is another one.
        """
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.ActionWrapper.__init__(self, env)
        space = env.action_space
        if not isinstance(space, gymnasium.spaces.Dict) or set(space.spaces) != {"choice", "move"}:
            raise ValueError(f"{type(self).__name__} needs an action space Dict(choice=…, move=…), and got {space}.")
        choice, move = space["choice"], space["move"]
        if not isinstance(choice, gymnasium.spaces.Discrete) or not isinstance(move, gymnasium.spaces.Box):
            raise ValueError(
                f"{type(self).__name__} needs a Discrete choice and a Box of moves, and got {choice} and {move}."
            )
        if self.choices is not None and choice.n != self.choices:
            raise ValueError(
                f"{type(self).__name__} is for environments with {self.choices} choices, and {env} has {choice.n}. "
                "Take TerminatingContinuousAction for MixedAction2D-v0 and ContinuingContinuousAction for "
                "MixedAction2DContinuing-v0."
            )
        self._count, self._start = int(choice.n), int(choice.start)
        self._move = move
        size = self._count + int(np.prod(move.shape))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)

    def action(self, action: Scores) -> dict[str, Any]:
        """Turn scores and amounts into a choice and moves.

        :param action: float32 (n + k,) in [-1, 1].
        :return: the wrapped environment's action.
        :raises gymnasium.error.InvalidAction: if the action lies outside the Box.
        """
        check_action(action=action, space=self.action_space)
        low, high = self._move.low, self._move.high
        amounts = action[self._count :].reshape(self._move.shape)
        # The clip takes off what rounding may add at the ends of the range.
        move = np.clip(low + (amounts + 1.0) / 2.0 * (high - low), low, high).astype(self._move.dtype)
        return {"choice": np.int64(self._start + np.argmax(action[: self._count])), "move": move}


class TerminatingContinuousAction(ContinuousMixedAction):
    """For ``MixedAction2D-v0``: ``Box(-1, 1, (5,))``, scores of x, y and done, then the amounts along x and y."""

    choices = 3


class ContinuingContinuousAction(ContinuousMixedAction):
    """For ``MixedAction2DContinuing-v0``: ``Box(-1, 1, (4,))``, scores of x and y, then the amounts along x and y."""

    choices = 2
