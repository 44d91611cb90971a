"""How an experiment says which environment it wants, and how one is made from that.

An :class:`EnvironmentConfig` is plain data that can be pickled, printed and compared: it travels to the worker
processes, and each of them makes its own environments from it. The other stations of the library see the
Gymnasium environment that :meth:`EnvironmentConfig.make` returns and nothing of how it came about.
"""

import contextlib
import difflib
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.envs.registration import parse_env_id

Wrapper = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


class UnknownEnvironment(ValueError):
    """The id names no environment that Gymnasium knows of."""


class EnvironmentNotMade(ValueError):
    """The environment, its factory or a wrapper refused its arguments, raised, or made something else."""


class MissingDependency(ImportError):
    """The environment exists, and a package that it needs is not installed."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfig:
    """Which environment to make, with which arguments, in which wrappers.

    Exactly one of ``id`` and ``factory`` is set.

    :raises ValueError: if both or neither of them are set, or another field cannot mean anything.
    """

    id: str | None = None
    """Gymnasium id, such as "Pendulum-v1"; "module:id" imports the module that registers the id first."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of gymnasium.make (max_episode_steps among them), or of the factory."""

    wrappers: tuple[Wrapper, ...] = ()
    """Wrappers from the innermost to the outermost; each takes an environment and returns one."""

    factory: Callable[..., gymnasium.Env[Any, Any]] | None = None
    """An importable callable that makes the environment, in the place of an id."""

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if (self.id is None) == (self.factory is None):
            raise ValueError(
                f"EnvironmentConfig: exactly one of `id` and `factory` has to be set, and here id={self.id!r} and "
                f"factory={self.factory!r}. Set `id` for an environment that is registered with Gymnasium, or "
                "`factory` for a callable that makes one, and leave the other at None."
            )
        if self.factory is not None and not callable(self.factory):
            raise ValueError(
                f"EnvironmentConfig: `factory` has to be callable, and is {self.factory!r}. "
                "Give a class or a function that returns a gymnasium.Env; an id belongs into `id`."
            )
        if not isinstance(self.wrappers, tuple) or not all(callable(wrapper) for wrapper in self.wrappers):
            raise ValueError(
                f"EnvironmentConfig: `wrappers` has to be a tuple of callables, and is {self.wrappers!r}. "
                "A tuple of one is written with a comma: wrappers=(Wrapper,)."
            )

    def make(self, *, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """Make the environment and wrap it.

        :param render_mode: Gymnasium's render mode, "rgb_array" for videos; None leaves what ``arguments`` say.
        :return: a new environment, which the caller closes.
        :raises UnknownEnvironment: if the id is not registered.
        :raises MissingDependency: if a package that the environment needs is not installed.
        :raises EnvironmentNotMade: if the environment, the factory or a wrapper refuses its arguments, raises, or gives
            something else than an environment with spaces.
        :raises ValueError: if the factory does not take a render mode and one is asked for.
        """
        environment = self._make_registered(render_mode) if self.id is not None else self._make_own(render_mode)
        for wrapper in self.wrappers:
            try:
                with _named(f"the wrapper {wrapper!r}"):
                    made = wrapper(environment)
            except TypeError as error:
                raise EnvironmentNotMade(
                    f"environment.wrappers: {wrapper!r} cannot be put around the environment: {error}. A wrapper is "
                    "given the environment alone; give it the rest by functools.partial."
                ) from error
            environment = _expect_environment(made=made, maker=wrapper, field_name="wrappers")
        return environment

    def _make_registered(self, render_mode: str | None) -> gymnasium.Env[Any, Any]:
        """Make the environment that ``id`` names.

        :param render_mode: as in :meth:`make`.
        :return: the environment with Gymnasium's own wrappers (order, time limit).
        """
        assert self.id is not None
        _check_id(self.id)
        _take_over_mujoco_warnings(self.id)
        # Gymnasium's checker repeats its checks in every process and at every first step; ours are in the tests.
        arguments = {"disable_env_checker": True, **self._arguments(render_mode)}
        try:
            with _named(f"the environment {self.id!r}"):
                return gymnasium.make(self.id, **arguments)
        except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
            raise _unknown(environment_id=self.id, reason=str(error)) from error
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            raise _missing(name=f"the environment {self.id!r}", reason=str(error)) from error
        except TypeError as error:
            # Gymnasium raises another one from the environment's, with the arguments repeated.
            reason = error.__cause__ or error
            raise self._refused(by=f"the environment {self.id!r}", mode=render_mode, reason=reason) from reason

    def _make_own(self, render_mode: str | None) -> gymnasium.Env[Any, Any]:
        """Make the environment by the user's factory.

        :param render_mode: as in :meth:`make`; handed on only if there is one.
        :return: what the factory made.
        """
        assert self.factory is not None
        if render_mode is not None and not _accepts(function=self.factory, keyword="render_mode"):
            raise ValueError(
                f"EnvironmentConfig: render_mode={render_mode!r} was asked for, and the factory {self.factory!r} takes "
                "no argument `render_mode`. Add the argument to the factory, or do not ask for images or videos."
            )
        try:
            with _named(f"the factory {self.factory!r}"):
                made = self.factory(**self._arguments(render_mode))
        except gymnasium.error.DependencyNotInstalled as error:
            raise _missing(name=f"the environment of the factory {self.factory!r}", reason=str(error)) from error
        except TypeError as error:
            raise self._refused(by=f"the factory {self.factory!r}", mode=render_mode, reason=error) from error
        return _expect_environment(made=made, maker=self.factory, field_name="factory")

    def _arguments(self, render_mode: str | None) -> dict[str, Any]:
        """Join the arguments with the render mode.

        :param render_mode: as in :meth:`make`.
        :return: keyword arguments; the render mode that was asked for wins over the one in ``arguments``.
        """
        return dict(self.arguments) if render_mode is None else {**self.arguments, "render_mode": render_mode}

    def _refused(self, *, by: str, mode: str | None, reason: BaseException) -> EnvironmentNotMade:
        """Write the message for arguments that were refused.

        :param by: what refused them.
        :param mode: the render mode.
        :param reason: what it says.
        :return: the exception, to be raised.
        """
        return EnvironmentNotMade(
            f"environment.arguments={self._arguments(mode)!r}: {by} fails with them: {reason}. Give it the keyword "
            "arguments that it takes."
        )


def _check_id(environment_id: str) -> None:
    """Refuse an id that is malformed or whose module cannot be imported.

    :param environment_id: an id, possibly with a module before a colon.
    :raises UnknownEnvironment: if the id is no id, or the module does not exist.
    :raises MissingDependency: if the module exists and something that it imports does not.
    """
    module, colon, name = environment_id.rpartition(":")
    try:
        parse_env_id(name)
    except gymnasium.error.Error as error:
        raise _unknown(environment_id=environment_id, reason=str(error)) from error
    if not colon:
        return
    if not module:
        raise _unknown(environment_id=environment_id, reason="There is no module before the colon.")
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        # `import a.b` fails with the name "a" or "a.b" if the module itself is not there.
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise _unknown(environment_id=environment_id, reason=f"There is no module {module!r}.") from error
        raise _missing(name=f"the module {module!r} of {environment_id!r}", reason=str(error)) from error


def _take_over_mujoco_warnings(environment_id: str) -> None:
    """Let MuJoCo's warnings be Python's; by itself it writes them to a file in the working folder.

    :param environment_id: of the environment that will be made; only Gymnasium's own MuJoCo environments matter.
    """
    specification = gymnasium.registry.get(environment_id.rpartition(":")[2])
    if specification is None or not str(specification.entry_point).startswith("gymnasium.envs.mujoco"):
        return
    try:
        mujoco = importlib.import_module("mujoco")
    except ImportError:
        return  # Gymnasium says so in a moment, and we say it better.
    mujoco.set_mju_user_warning(_on_mujoco_warning)


def _on_mujoco_warning(message: str) -> None:
    """Pass a warning on, but for one about Gymnasium's own models that their users cannot mend.

    :param message: MuJoCo's words.
    """
    if "settotalmass" not in message:
        warnings.warn(f"MuJoCo: {message}", stacklevel=2)


def _unknown(*, environment_id: str, reason: str) -> UnknownEnvironment:
    """Write the message for an id that is not registered.

    :param environment_id: the id as the user wrote it.
    :param reason: what Gymnasium says.
    :return: the exception, to be raised.
    """
    name = environment_id.rpartition(":")[2]
    matches = difflib.get_close_matches(name, gymnasium.registry, n=3)
    close = f" Close matches: {', '.join(repr(match) for match in matches)}." if matches else ""
    return UnknownEnvironment(
        f"No environment is registered under the id {environment_id!r}.{close} (Gymnasium: {reason}) "
        "If the id is right, install the extra that brings it, such as `pip install 'triax[mujoco]'` or "
        "`'triax[dm-control]'`; or import the package that registers it in the experiment's file; or let Gymnasium "
        "import it, by the form id='module:id'."
    )


def _missing(*, name: str, reason: str) -> MissingDependency:
    """Write the message for a package that is not installed.

    :param name: what could not be made.
    :param reason: what the environment says.
    :return: the exception, to be raised.
    """
    return MissingDependency(
        f"A package that {name} needs is not installed: {reason} For MuJoCo's environments: `pip install "
        "'triax[mujoco]'`; for those of dm_control: `pip install 'triax[dm-control]'`; for CarRacing: `pip install "
        "'triax[box2d]'`."
    )


def _accepts(*, function: Callable[..., Any], keyword: str) -> bool:
    """Say whether a callable takes a keyword argument.

    :param function: any callable.
    :param keyword: the argument's name.
    :return: True if it does, or if its signature cannot be read.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    by_name = parameters.get(keyword)
    if by_name is not None and by_name.kind is not inspect.Parameter.POSITIONAL_ONLY:
        return True
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


_TOLD_APART = (
    TypeError,
    ValueError,
    ImportError,
    gymnasium.error.DependencyNotInstalled,
    gymnasium.error.DeprecatedEnv,
    gymnasium.error.UnregisteredEnv,
)


@contextlib.contextmanager
def _named(maker: str) -> Iterator[None]:
    """Say who raised an error, unless it is of a kind that is told apart, or speaks for itself."""
    try:
        yield
    except _TOLD_APART:
        raise
    except Exception as error:
        message = f"{maker} raised {type(error).__name__} when it was to make an environment: {error}"
        raise EnvironmentNotMade(message) from error


def _expect_environment(*, made: object, maker: object, field_name: str) -> gymnasium.Env[Any, Any]:
    """Refuse what is no environment.

    :param made: what a factory or a wrapper returned.
    :param maker: the factory or the wrapper.
    :param field_name: the config's field that it stands in.
    :return: the same object, known to be an environment.
    :raises EnvironmentNotMade: if it is not one.
    """
    if not isinstance(made, gymnasium.Env):
        raise EnvironmentNotMade(
            f"EnvironmentConfig: {maker!r} in `{field_name}` returned {made!r}, which is not a gymnasium.Env. "
            "It has to return the environment that it made."
        )
    for name in ("observation_space", "action_space"):
        if not isinstance(getattr(made, name, None), gymnasium.Space):
            raise EnvironmentNotMade(
                f"EnvironmentConfig: {maker!r} in `{field_name}` made an environment without `{name}`. Set it in its "
                "constructor, or in its class, to a space of Gymnasium."
            )
    return made
