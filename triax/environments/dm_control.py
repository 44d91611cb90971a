"""Environments of dm_control's suite as Gymnasium environments.

The translation is shimmy's. Here are the pieces that it lacks: a name for each, the images' true frame rate, and the
text of the MuJoCo model, from which :mod:`triax.environments.physics` makes randomised ones.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium

from triax.environments.factory import MissingDependency


class DMControlEnvironment(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment of dm_control, and the source of its model.

    :ivar model_text: the model as MJCF.
    :ivar model_files: what it includes and refers to, by name.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], *, model_text: str, model_files: dict[str, bytes]) -> None:
        """Keep the source; see :func:`dm_control_environment`."""
        super().__init__(environment)
        self.model_text = model_text
        self.model_files = model_files
        self.metadata = {**environment.metadata, "render_fps": round(1.0 / self.get_wrapper_attr("control_timestep")())}

    @property
    def model(self) -> Any:
        """The ``mujoco.MjModel`` that is stepped."""
        return self.get_wrapper_attr("physics").model.ptr


def dm_control_environment(
    *, domain: str, task: str, flat: bool = True, render_mode: str | None = None, **task_arguments: Any
) -> gymnasium.Env[Any, Any]:
    """Make an environment of dm_control's suite; for :class:`~triax.environments.EnvironmentConfig`'s ``factory``.

    It ends as truncated at its time limit, about 1000 steps for most.

    :param domain: such as "walker".
    :param task: such as "walk".
    :param flat: whether the parts of the observation are joined to one vector, in the order of
        their names; otherwise it is a dict.
    :param render_mode: "rgb_array" for images.
    :param task_arguments: what dm_control calls ``task_kwargs``, such as ``time_limit``, in seconds.
    :return: the environment.
    :raises MissingDependency: if dm_control or shimmy is not installed.
    :raises ValueError: if there is no such domain or task.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without a display, one of the ways to make images is missed aloud
            from dm_control import suite
            from shimmy.dm_control_compatibility import DmControlCompatibilityV0
    except ImportError as error:
        raise MissingDependency(
            f"A package that dm_control's {domain} {task} needs is not installed: {error}. "
            "`pip install 'triax[dm-control]'`."
        ) from error
    if (domain, task) not in suite.ALL_TASKS:
        tasks = [own for other, own in suite.ALL_TASKS if other == domain]
        known = f"the tasks of {domain!r} are {tasks}" if tasks else f"the domains are {sorted(suite.TASKS_BY_DOMAIN)}"
        raise ValueError(f"dm_control's suite has no task {task!r} of a domain {domain!r}; {known}.")
    with _models_noted() as notes:
        made = suite.load(domain, task, task_kwargs=task_arguments)
    environment: gymnasium.Env[Any, Any] = DmControlCompatibilityV0(made, render_mode=render_mode)
    text, files = notes[-1]
    environment = DMControlEnvironment(environment, model_text=text, model_files=files)
    return gymnasium.wrappers.FlattenObservation(environment) if flat else environment


@contextlib.contextmanager
def _models_noted() -> Iterator[list[tuple[str, dict[str, bytes]]]]:
    """Note the sources of the models that dm_control loads meanwhile; it does not keep them."""
    from dm_control.mujoco import wrapper

    notes: list[tuple[str, dict[str, bytes]]] = []
    original = wrapper.MjModel.from_xml_string

    def from_xml_string(xml_string: str | bytes, assets: Any = None) -> Any:
        text = xml_string if isinstance(xml_string, str) else xml_string.decode()
        notes.append((text, {name: _bytes(content) for name, content in (assets or {}).items()}))
        return original(xml_string, assets=assets)

    wrapper.MjModel.from_xml_string = from_xml_string
    try:
        yield notes
    finally:
        wrapper.MjModel.from_xml_string = original


def _bytes(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content)
