"""What the person at the terminal is told of an error, and where it happened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import triax
from triax.environments.probes import ActionProbe, Outcome
from triax.exits import orderly_end
from triax.rollout.seeded import SeededEnvironment

HINT = "TRIAX_TRACEBACK=1"


class Mistyped(ActionProbe):
    """Has a typing error in its step."""

    def advance(self, action: Any) -> Outcome:
        return self.outcome({"reward": 1.0})

    def outcome(self, outcome: dict[str, float]) -> Outcome:
        return Outcome(observation=0.0, reward=outcome["rewrad"])


class WithoutArguments(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes an environment alone, and makes a mistake of its own."""

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        super().__init__(environment)
        len(3)  # type: ignore[arg-type]


def _told(capsys: pytest.CaptureFixture[str], function: Callable[[], Any]) -> str:
    with pytest.raises(SystemExit) as end, orderly_end():
        function()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def _step(environment: gymnasium.Env[Any, Any], action: Any) -> None:
    seeded = SeededEnvironment(environment=environment, number=0)
    seeded.begin(episode=0, seed=0)
    seeded.advance(action)


def test_a_failing_environment_shows_the_lines_of_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    said = _told(capsys, lambda: _step(gymnasium.wrappers.TimeLimit(Mistyped(), 10), np.int64(0)))
    message, *frames = said.strip().splitlines()
    assert message.startswith("error: KeyError: 'rewrad'; raised in environment 0")
    assert [line.strip().split(", line")[0] for line in frames if "File" in line] == [f'File "{__file__}"'] * 2
    assert 'in outcome\n    return Outcome(observation=0.0, reward=outcome["rewrad"])' in said
    assert HINT not in said


def test_a_failing_environment_of_a_package_shows_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    said = _told(capsys, lambda: _step(gymnasium.make("CartPole-v1", disable_env_checker=True), np.int64(7)))
    assert said.count("File") == 1
    assert "cartpole.py" in said


@pytest.mark.parametrize(
    "function",
    [
        lambda: np.zeros(3).reshape(2, 2),
        lambda: jax.jit(lambda x: jnp.broadcast_to(x, (2,)))(jnp.zeros(3)),
        lambda: Path("/no/such/file").read_text(),
    ],
)
def test_an_error_that_is_not_of_triax_comes_with_a_hint(
    function: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert HINT in _told(capsys, function)


def test_an_error_of_triax_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    said = _told(capsys, lambda: triax.EvaluationConfig(interval=0))
    assert said == "\nerror: EvaluationConfig.interval=0 must be at least 1.\n"
    unknown = triax.EnvironmentConfig(id="Pendulum-v1", arguments={"gravity": 9.0})
    said = _told(capsys, unknown.make)
    assert len(said.strip().splitlines()) == 1
    assert HINT not in said


def test_a_wrapper_that_fails_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    said = _told(capsys, triax.EnvironmentConfig(id="Pendulum-v1", wrappers=(WithoutArguments,)).make)
    assert "environment.wrappers" in said
    assert "in __init__\n    len(3)" in said
