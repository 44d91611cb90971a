"""What the library's own environments check at each step, so that a wrong action never passes in silence."""

from typing import Any

import gymnasium


def check_action(*, action: object, space: gymnasium.Space[Any]) -> None:
    """Refuse an action that lies outside its space.

    :param action: what was passed to ``step``.
    :param space: the environment's action space.
    :raises gymnasium.error.InvalidAction: if the space does not contain the action.
    """
    if not space.contains(action):
        raise gymnasium.error.InvalidAction(
            f"The action {action!r} lies outside the action space {space}. "
            "Check its structure, its bounds, its shapes and its dtypes (float64 does not fit into float32)."
        )


def check_running(*, running: bool) -> None:
    """Refuse a step outside an episode.

    :param running: whether there was a reset, and no end of the episode since.
    :raises gymnasium.error.ResetNeeded: if not.
    """
    if not running:
        raise gymnasium.error.ResetNeeded("No episode is running: call reset() before the next step().")
