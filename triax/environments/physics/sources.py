"""Where the MuJoCo model of an environment comes from: its specification, and the compiled model that it steps.

Gymnasium's environments name a file, and those of :func:`~triax.environments.dm_control.dm_control_environment` keep
the text of theirs.
"""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt

from triax.environments.dm_control import DMControlEnvironment

MoveStart = Callable[[npt.NDArray[np.float64]], None]


class NoMuJoCoModel(ValueError):
    """An environment has no MuJoCo model whose source is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model that an environment steps.

    :ivar specification: the ``mujoco.MjSpec`` that it was compiled from.
    :ivar model: the ``mujoco.MjModel`` in use.
    :ivar move_start: is told by how much the coordinates of the model's initial posture (``qpos0``) differ from those
        of the specification.
    """

    specification: Any
    model: Any
    move_start: MoveStart


def find_model(environment: gymnasium.Env[Any, Any]) -> ModelSource:
    """Find the model of an environment.

    :param environment: an environment, in any wrappers.
    :return: its model.
    :raises NoMuJoCoModel: if it has none, or its source is not known.
    """
    layer = environment
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, DMControlEnvironment):
            specification = _parse(mujoco.MjSpec.from_string, layer.model_text, **_files(layer.model_files))
            return ModelSource(specification=specification, model=layer.model, move_start=_ignore)
        layer = layer.env
    path, model = getattr(layer, "fullpath", None), getattr(layer, "model", None)
    if not isinstance(path, str) or not isinstance(model, mujoco.MjModel):
        raise NoMuJoCoModel(
            f"{layer!r} has no MuJoCo model whose file is known, so that its elements cannot be randomised. That is "
            "possible for subclasses of gymnasium.envs.mujoco.MujocoEnv, and for what "
            "triax.environments.dm_control_environment makes. Attributes of other environments have the element "
            "'environment'."
        )
    return ModelSource(specification=_parse(mujoco.MjSpec.from_file, path), model=model, move_start=_start_mover(layer))


def _parse(parser: Callable[..., Any], source: str, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        # About total masses that the models of the half cheetahs state; their users cannot mend it.
        warnings.filterwarnings("ignore", message=".*settotalmass.*")
        return parser(source, **arguments)


def _files(files: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Part what a model includes from what it refers to, as MjSpec wants it."""
    texts = {name: content for name, content in files.items() if name.endswith(".xml")}
    return {"include": texts, "assets": {name: content for name, content in files.items() if name not in texts}}


def _start_mover(environment: Any) -> MoveStart:
    """Gymnasium's environments copy the initial posture when they are made."""
    start = np.array(environment.init_qpos)

    def move_start(difference: npt.NDArray[np.float64]) -> None:
        environment.init_qpos = start + difference

    return move_start


def _ignore(difference: npt.NDArray[np.float64]) -> None:
    """dm_control takes the initial posture from the model in every reset."""
