"""The environment factory: what it makes, and what it says when it cannot."""

import functools
import pickle
import sys
from pathlib import Path
from typing import Any

import gymnasium
import jaxtyping
import pytest
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from triax.environments import (
    EnvironmentConfig,
    EnvironmentNotMade,
    MissingDependency,
    MixedAction2D,
    TerminatingContinuousAction,
    UnknownEnvironment,
)
from triax.environments.probes import ConstantRewardProbe

AnyEnv = gymnasium.Env[Any, Any]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the code's own checks speak: a user's program runs without the tests' checker of annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def layers(environment: AnyEnv) -> list[type]:
    """The classes of the wrappers, outermost first, and of the environment itself."""
    found = [type(environment)]
    while isinstance(environment, gymnasium.Wrapper):
        environment = environment.env
        found.append(type(environment))
    return found


def make_plain() -> AnyEnv:
    return ConstantRewardProbe()


def make_any(**arguments: Any) -> AnyEnv:
    return MixedAction2D(**arguments)


def make_nothing() -> Any:
    return None


def make_failing() -> AnyEnv:
    raise RuntimeError("no licence")


class NoSpaces(gymnasium.Env[Any, Any]):
    pass


def make_without_package() -> AnyEnv:
    raise gymnasium.error.DependencyNotInstalled("box is not installed")


def drop(environment: AnyEnv) -> Any:
    return "no environment"


def make_without_other_package(**arguments: Any) -> AnyEnv:
    raise gymnasium.error.DependencyNotInstalled("frobnicate is not installed")


def test_id_makes_the_registered_environment_without_gymnasiums_checker() -> None:
    environment = EnvironmentConfig(id="Pendulum-v1").make()
    assert environment.spec is not None
    assert environment.spec.id == "Pendulum-v1"
    assert layers(environment)[:2] == [TimeLimit, OrderEnforcing]
    assert PassiveEnvChecker not in layers(environment)
    # Negative control: Gymnasium puts the checker in by default.
    assert PassiveEnvChecker in layers(gymnasium.make("Pendulum-v1"))


def test_arguments_reach_gymnasium_make_and_the_environment() -> None:
    config = EnvironmentConfig(id="Pendulum-v1", arguments={"g": 3.5, "max_episode_steps": 2})
    environment = config.make()
    assert environment.get_wrapper_attr("g") == 3.5
    environment.reset(seed=0)
    action = environment.action_space.sample()
    assert environment.step(action)[3] is False
    assert environment.step(action)[3] is True


def test_wrappers_go_from_the_innermost_to_the_outermost() -> None:
    limit = functools.partial(TimeLimit, max_episode_steps=7)
    config = EnvironmentConfig(id="triax/MixedAction2D-v0", wrappers=(TerminatingContinuousAction, limit))
    environment = config.make()
    assert layers(environment) == [TimeLimit, TerminatingContinuousAction, TimeLimit, OrderEnforcing, MixedAction2D]
    assert isinstance(environment.action_space, gymnasium.spaces.Box)


def test_factory_makes_the_environment_with_its_arguments() -> None:
    environment = EnvironmentConfig(factory=MixedAction2D, arguments={"continuing": True}).make()
    assert isinstance(environment, MixedAction2D)
    assert environment.continuing


@pytest.mark.parametrize("factory", [MixedAction2D, make_any], ids=["by name", "by **arguments"])
def test_render_mode_reaches_a_factory_that_takes_it(factory: Any) -> None:
    assert EnvironmentConfig(factory=factory).make(render_mode="rgb_array").render_mode == "rgb_array"
    assert EnvironmentConfig(factory=factory).make().render_mode is None


def test_render_mode_reaches_gymnasium_make_and_wins_over_the_arguments() -> None:
    config = EnvironmentConfig(id="triax/MixedAction2D-v0", arguments={"render_mode": "rgb_array"})
    assert config.make().render_mode == "rgb_array"
    assert EnvironmentConfig(id="triax/MixedAction2D-v0").make().render_mode is None
    plain = EnvironmentConfig(id="triax/MixedAction2D-v0", arguments={"render_mode": None})
    assert plain.make(render_mode="rgb_array").render_mode == "rgb_array"


def test_render_mode_for_a_factory_without_it_is_refused() -> None:
    config = EnvironmentConfig(factory=make_plain)
    config.make().close()
    with pytest.raises(ValueError, match=r"render_mode='rgb_array'.*make_plain.*takes no argument `render_mode`"):
        config.make(render_mode="rgb_array")


@pytest.mark.parametrize("arguments", [{}, {"id": "Pendulum-v1", "factory": make_plain}], ids=["neither", "both"])
def test_exactly_one_of_id_and_factory(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one of `id` and `factory` has to be set.*id=.*factory=.*Set `id`"):
        EnvironmentConfig(**arguments)


@pytest.mark.usefixtures("unchecked")
def test_factory_that_is_not_callable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`factory` has to be callable, and is 'Pendulum-v1'"):
        EnvironmentConfig(factory="Pendulum-v1")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrappers", [TerminatingContinuousAction, ("TimeLimit",)])
@pytest.mark.usefixtures("unchecked")
def test_wrappers_that_are_no_tuple_of_callables_are_refused(wrappers: Any) -> None:
    with pytest.raises(ValueError, match=r"`wrappers` has to be a tuple of callables, and is .*wrappers=\(Wrapper,\)"):
        EnvironmentConfig(id="Pendulum-v1", wrappers=wrappers)


def test_an_environment_without_spaces_is_refused() -> None:
    with pytest.raises(EnvironmentNotMade, match=r"`factory` made an environment without `observation_space`\. Set it"):
        EnvironmentConfig(factory=NoSpaces).make()


def test_what_a_factory_raises_is_named() -> None:
    with pytest.raises(EnvironmentNotMade, match=r"make_failing.* raised RuntimeError .*: no licence") as caught:
        EnvironmentConfig(factory=make_failing).make()
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (EnvironmentConfig(factory=make_nothing), "factory"),
        (EnvironmentConfig(factory=make_plain, wrappers=(drop,)), "wrappers"),
    ],
)
def test_what_is_no_environment_is_refused(config: EnvironmentConfig, field: str) -> None:
    with pytest.raises(EnvironmentNotMade, match=rf"`{field}` returned .* which is not a gymnasium.Env"):
        config.make()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            EnvironmentConfig(id="Pendulum-v1", arguments={"gravity": 9.0}),
            r"^environment.arguments=\{'gravity': 9.0\}: the environment 'Pendulum-v1' fails with them: "
            r"PendulumEnv.__init__\(\) got an unexpected keyword argument 'gravity'\. Give it",
        ),
        (
            EnvironmentConfig(factory=MixedAction2D, arguments={"gravity": 9.0}),
            r"^environment.arguments=\{'gravity': 9.0\}: the factory <class .*MixedAction2D'> .* argument 'gravity'",
        ),
        (
            EnvironmentConfig(factory=make_any, arguments={"gravity": 9.0}),
            r"^environment.arguments=\{'gravity': 9.0\}: the factory <function make_any .* argument 'gravity'",
        ),
        (
            EnvironmentConfig(id="Pendulum-v1", wrappers=(TimeLimit,)),  # type: ignore[arg-type]
            r"^environment.wrappers: <class .*TimeLimit'> .* missing .* 'max_episode_steps'\. .*functools.partial",
        ),
    ],
)
def test_arguments_that_are_refused(config: EnvironmentConfig, message: str) -> None:
    with pytest.raises(EnvironmentNotMade, match=message):
        config.make()


@pytest.mark.parametrize(
    ("environment_id", "expected"),
    [
        ("Pendulun-v1", r"'Pendulun-v1'.*Close matches: 'Pendulum-v1'.*triax\[mujoco\].*import.*module:id"),
        ("CartPole-v9", r"'CartPole-v9'.*Close matches: 'CartPole-v1'"),
        ("triax/MixedAction-v0", r"Close matches: 'triax/MixedAction2D-v0'"),
        ("quux/Frob-v0", r"'quux/Frob-v0'\. \(Gymnasium: Namespace quux not found"),
        ("not an id", r"'not an id'.*Malformed"),
        ("no_such_module:Pendulum-v1", r"There is no module 'no_such_module'"),
        ("triax.no_such_module:Pendulum-v1", r"There is no module 'triax.no_such_module'"),
        ("triax:Pendulum:Pendulum-v1", r"There is no module 'triax:Pendulum'"),
        (":Pendulum-v1", r"There is no module before the colon"),
    ],
)
def test_unknown_id_names_the_id_close_matches_and_the_remedy(environment_id: str, expected: str) -> None:
    with pytest.raises(UnknownEnvironment, match=expected) as caught:
        EnvironmentConfig(id=environment_id).make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")
def test_version_that_gymnasium_dropped_is_unknown_and_the_newer_one_is_named() -> None:
    with pytest.raises(UnknownEnvironment, match=r"Please use `HalfCheetah-v5`"):
        EnvironmentConfig(id="HalfCheetah-v1").make()


def test_module_before_the_colon_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registers_one.py").write_text(
        "import gymnasium\n"
        "gymnasium.register(id='elsewhere/One-v0', entry_point='triax.environments.probes:ConstantRewardProbe')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with pytest.raises(UnknownEnvironment):
            EnvironmentConfig(id="elsewhere/One-v0").make()
        environment = EnvironmentConfig(id="registers_one:elsewhere/One-v0").make()
        assert isinstance(environment.unwrapped, ConstantRewardProbe)
    finally:
        gymnasium.registry.pop("elsewhere/One-v0", None)
        sys.modules.pop("registers_one", None)


def test_module_that_lacks_a_package_is_not_called_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacks_one.py").write_text("import frobnicate\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingDependency, match=r"module 'lacks_one'.*needs is not installed: No module named 'frob"):
        EnvironmentConfig(id="lacks_one:Pendulum-v1").make()


def test_missing_dependency_is_one_clear_message() -> None:
    gymnasium.register(id="elsewhere/Lacking-v0", entry_point=make_without_other_package)
    try:
        with pytest.raises(MissingDependency, match=r"'elsewhere/Lacking-v0' needs.*frobnicate.*triax\[mujoco\]"):
            EnvironmentConfig(id="elsewhere/Lacking-v0").make()
    finally:
        gymnasium.registry.pop("elsewhere/Lacking-v0")
    with pytest.raises(MissingDependency, match=r"factory .*make_without_package.*box is not installed"):
        EnvironmentConfig(factory=make_without_package).make()


def test_config_survives_pickling() -> None:
    config = EnvironmentConfig(
        id="triax/MixedAction2D-v0", arguments={"max_episode_steps": 5}, wrappers=(TerminatingContinuousAction,)
    )
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert copy.make().action_space == config.make().action_space
