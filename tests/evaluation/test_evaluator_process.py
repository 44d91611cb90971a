"""The evaluator in a process of its own."""

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Bool

from triax.environments.probes import CounterProbe
from triax.evaluation import Evaluation, EvaluationConfig, Evaluator, EvaluatorProcess
from triax.evaluation.evaluator import summarised
from triax.evaluation.process import _answer, _Request
from triax.random import KeyArray
from triax.rollout import CannotSendToWorkers, SupervisionConfig, WorkersFailed
from triax.rollout.environments import Watcher
from triax.rollout.processes.status import Phase, WorkerStatus
from triax.rollout.supervision import WatchClock
from triax.spaces import space_spec
from triax.trees import Tree
from triax.types import ActionMode, PolicyOutput

CONFIG = EvaluationConfig(episodes=3, environments=2)


class Troubled(CounterProbe):
    """Has trouble once, in its first step or in its first reset, if a file is there; or is slow.

    :param trouble: "raise in step", "sleep in step", "sleep in reset"; "raise in reset", always; or "slow": 1.5 s
        for each reset, and for the second step of each episode.
    :param file: is removed when there was trouble.
    """

    def __init__(self, *, trouble: str, file: Path) -> None:
        super().__init__()
        self._trouble = trouble
        self._file = file
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self._steps = 0
        if self._trouble == "raise in reset":
            raise RuntimeError("the wheels came off")
        self._have_trouble(place="reset", slow=True)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self._steps += 1
        self._have_trouble(place="step", slow=self._steps == 2)
        return super().step(action)

    def _have_trouble(self, *, place: str, slow: bool) -> None:
        if self._trouble == "slow" and slow:
            time.sleep(1.5)
        if not self._trouble.endswith(place) or not self._file.exists():
            return
        self._file.unlink()
        if self._trouble.startswith("raise"):
            raise RuntimeError("the wheels came off")
        time.sleep(3600.0)


@dataclasses.dataclass(frozen=True)
class ConstantPolicy:
    """Takes the action that its parameter says."""

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        return ()

    def act(
        self,
        *,
        parameters: Tree,
        carry: Tree,
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        action = jnp.broadcast_to(parameters["action"], is_first.shape).astype(jnp.int32)
        return PolicyOutput(action=action, carry=carry, extras={})


def parameters_of(action: int) -> Tree:
    return {"action": np.array(action, np.int32)}


@contextmanager
def running(*, supervision: SupervisionConfig | None = None, **environment: Any) -> Iterator[EvaluatorProcess]:
    probe = CounterProbe()
    evaluator = EvaluatorProcess(
        make=functools.partial(Troubled, **environment) if environment else CounterProbe,
        make_policy=ConstantPolicy,
        observation_spec=space_spec(space=probe.observation_space, role="observation"),
        action_spec=space_spec(space=probe.action_space, role="action"),
        config=CONFIG,
        supervision=supervision or SupervisionConfig(),
    )
    try:
        yield evaluator
        process = evaluator.process
    finally:
        evaluator.close()
    assert evaluator.process is None
    assert process is None or not Path(f"/proc/{process}").exists()


def results(evaluator: EvaluatorProcess, *, seconds: float = 60.0) -> list[Evaluation]:
    found: list[Evaluation] = []
    deadline = time.monotonic() + seconds
    while evaluator.outstanding and time.monotonic() < deadline:
        found += evaluator.finished(seconds=0.5)
    assert not evaluator.outstanding
    return found


def inline_evaluator(*, watcher: Watcher | None = None) -> Evaluator:
    probe = CounterProbe()
    return Evaluator(
        make=CounterProbe,
        policy=ConstantPolicy(),
        observation_spec=space_spec(space=probe.observation_space, role="observation"),
        action_spec=space_spec(space=probe.action_space, role="action"),
        config=CONFIG,
        watcher=watcher,
    )


def expected(action: int, *, evaluation_seed: int) -> Evaluation:
    evaluator = inline_evaluator()
    evaluation = evaluator.evaluate(parameters=parameters_of(action), evaluation_seed=evaluation_seed)
    evaluator.close()
    assert evaluation is not None
    return evaluation


def test_requests_are_answered_in_turn_as_in_line() -> None:
    with running() as evaluator:
        assert evaluator.finished() == []
        for action, seed in ((0, 5), (1, 5), (1, 6)):
            evaluator.request(parameters=parameters_of(action), evaluation_seed=seed)
        assert evaluator.outstanding == 3
        found = results(evaluator)
        assert evaluator.finished(seconds=5.0) == []
    assert found == [expected(action, evaluation_seed=seed) for action, seed in ((0, 5), (1, 5), (1, 6))]


def large_parameters_of(action: int) -> Tree:
    """More than a connection holds: sending them takes until they are read."""
    return parameters_of(action) | {"rest": np.zeros(3_000_000, np.float32)}


def at_once(call: Callable[[], Any]) -> Any:
    """Call something that must not wait for the evaluator."""
    returned: list[Any] = []
    thread = threading.Thread(target=lambda: returned.append(call()), daemon=True)
    thread.start()
    thread.join(10.0)
    assert returned, "the trainer is held up"
    return returned[0]


def wait_for_replacement(evaluator: EvaluatorProcess, *, seconds: float = 60.0) -> None:
    """Ask for results, as the trainer does, until a process takes the place of the one of now."""
    process, deadline = evaluator.process, time.monotonic() + seconds
    while evaluator.process == process:
        assert time.monotonic() < deadline
        assert at_once(evaluator.finished) == []
        time.sleep(0.05)


def test_large_parameters_do_not_hold_up_the_trainer() -> None:
    with running() as evaluator:
        evaluator.request(parameters=parameters_of(0), evaluation_seed=5)
        results(evaluator)
        assert evaluator.process is not None
        os.kill(evaluator.process, signal.SIGSTOP)
        for _ in range(2):
            at_once(lambda: evaluator.request(parameters=large_parameters_of(1), evaluation_seed=6))
        assert at_once(evaluator.finished) == []
        os.kill(evaluator.process, signal.SIGCONT)
        assert results(evaluator) == 2 * [expected(1, evaluation_seed=6)]


def test_an_evaluator_that_is_stopped_while_it_starts_holds_up_nobody_and_is_replaced(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with running(supervision=SupervisionConfig(start_seconds=1.0)) as evaluator:
        at_once(lambda: evaluator.request(parameters=large_parameters_of(1), evaluation_seed=5))
        assert evaluator.process is not None
        os.kill(evaluator.process, signal.SIGSTOP)
        wait_for_replacement(evaluator)
    assert "has been at one start for more than 1 s" in capfd.readouterr().err


def test_an_evaluator_that_is_stopped_while_it_is_idle_holds_up_nobody_and_is_replaced(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with running() as evaluator:
        evaluator.request(parameters=parameters_of(0), evaluation_seed=5)
        results(evaluator)
        assert evaluator.process is not None
        os.kill(evaluator.process, signal.SIGSTOP)
        evaluator._supervision = SupervisionConfig(start_seconds=1.0)  # its first start took longer
        at_once(lambda: evaluator.request(parameters=large_parameters_of(1), evaluation_seed=5))
        wait_for_replacement(evaluator)
        evaluator._supervision = SupervisionConfig()
        assert results(evaluator) == [expected(1, evaluation_seed=5)]
    assert "has been at one start for more than 1 s" in capfd.readouterr().err


def test_an_evaluator_that_hangs_is_found_by_a_trainer_that_looks_seldom() -> None:
    with running() as evaluator:
        evaluator.request(parameters=parameters_of(0), evaluation_seed=5)
        results(evaluator)
        process, limits = evaluator.process, SupervisionConfig(start_seconds=1.0)
        assert process is not None
        evaluator._supervision, evaluator._clock = limits, WatchClock(config=limits)  # its first start took longer
        os.kill(process, signal.SIGSTOP)
        evaluator.request(parameters=parameters_of(1), evaluation_seed=6)
        for _ in range(5):
            time.sleep(1.5)  # longer than the limit: an update, say
            assert evaluator.finished() == []
            if evaluator.process != process:
                break
        assert evaluator.process != process
        evaluator._supervision = SupervisionConfig()
        assert results(evaluator) == [expected(1, evaluation_seed=6)]


def test_an_evaluator_that_was_stopped_together_with_the_trainer_goes_on() -> None:
    with running() as evaluator:
        evaluator.request(parameters=parameters_of(0), evaluation_seed=5)
        results(evaluator)
        process, limits = evaluator.process, SupervisionConfig(start_seconds=1.0)
        assert process is not None
        evaluator._supervision, evaluator._clock = limits, WatchClock(config=limits)  # its first start took longer
        evaluator.request(parameters=parameters_of(1), evaluation_seed=6)
        os.kill(process, signal.SIGSTOP)
        time.sleep(2.0)  # the trainer sees nothing meanwhile
        found = evaluator.finished()
        os.kill(process, signal.SIGCONT)
        assert found + results(evaluator) == [expected(1, evaluation_seed=6)]
        assert evaluator.process == process


def test_a_killed_evaluator_is_started_again_and_leaves_nothing_out(capfd: pytest.CaptureFixture[str]) -> None:
    with running() as evaluator:
        evaluator.request(parameters=parameters_of(0), evaluation_seed=5)
        first = results(evaluator)
        assert evaluator.process is not None
        os.kill(evaluator.process, signal.SIGKILL)
        for action in (1, 0):
            evaluator.request(parameters=parameters_of(action), evaluation_seed=6)
        found = first + results(evaluator)
    assert found == [expected(action, evaluation_seed=seed) for action, seed in ((0, 5), (1, 6), (0, 6))]
    assert "the evaluator" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("place", ["step", "reset"])
def test_an_evaluator_that_hangs_is_replaced(place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trouble"
    file.touch()
    supervision = SupervisionConfig(step_seconds=2.0, reset_seconds=2.0)
    with running(supervision=supervision, trouble=f"sleep in {place}", file=file) as evaluator:
        evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        assert results(evaluator) == [expected(1, evaluation_seed=5)]
    said = capfd.readouterr().err
    assert f"has been at one {place} for more than 2 s (rollout.supervision.{place}_seconds)" in said


def test_the_limits_are_those_of_one_environment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Both environments' second steps take 3 s together.
    supervision = SupervisionConfig(step_seconds=2.8, reset_seconds=2.8)
    with running(supervision=supervision, trouble="slow", file=tmp_path / "none") as evaluator:
        evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        assert results(evaluator) == [expected(1, evaluation_seed=5)]
    assert "has been at" not in capfd.readouterr().err


@pytest.mark.slow
def test_the_time_between_two_requests_is_not_the_evaluators() -> None:
    with running(supervision=SupervisionConfig(step_seconds=5.0)) as evaluator:
        evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        results(evaluator)
        process = evaluator.process
        assert process is not None
        time.sleep(5.5)
        os.kill(process, signal.SIGSTOP)  # it does not get to say that it has begun
        evaluator.request(parameters=parameters_of(1), evaluation_seed=6)
        assert evaluator.finished() == []
        assert evaluator.process == process
        os.kill(process, signal.SIGCONT)
        assert results(evaluator) == [expected(1, evaluation_seed=6)]


def test_an_evaluator_that_can_never_begin_ends_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running(trouble="raise in reset", file=tmp_path / "none") as evaluator:
        evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        with pytest.raises(WorkersFailed, match=r"could not begin: it failed with .*the wheels came off"):
            results(evaluator)
    assert "Traceback" in capfd.readouterr().err


def test_an_evaluator_that_fails_in_its_first_episodes_is_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trouble"
    file.touch()
    with running(trouble="raise in step", file=file) as evaluator:
        evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        assert results(evaluator) == [expected(1, evaluation_seed=5)]
    assert "the wheels came off" in capfd.readouterr().err


@pytest.mark.slow
def test_past_the_budget_it_is_not_started_again() -> None:
    with running(supervision=SupervisionConfig(restarts=1)) as evaluator:
        evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        results(evaluator)

        def kill_and_ask_again() -> None:
            assert evaluator.process is not None
            os.kill(evaluator.process, signal.SIGKILL)
            evaluator.request(parameters=parameters_of(1), evaluation_seed=6)
            results(evaluator)

        kill_and_ask_again()
        with pytest.raises(WorkersFailed, match=r"rollout.supervision.restarts"):
            kill_and_ask_again()


def test_what_was_evaluated_before_it_failed_is_given_out_and_the_failure_comes_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Life:
        """Answers once, and is gone."""

        busy, is_alive, has_stepped, process_id, ending = False, False, True, 1, "signal 9"

        def __init__(self, **arguments: Any) -> None:
            self.answers = [expected(1, evaluation_seed=5)]

        def send(self, request: Any) -> None:
            pass

        def receive(self, *, seconds: float) -> Evaluation | None:
            return self.answers.pop() if self.answers else None

        def close(self, *, seconds: float) -> None:
            pass

    monkeypatch.setattr("triax.evaluation.process._Life", Life)
    with running(supervision=SupervisionConfig(restarts=0)) as evaluator:
        for _ in range(2):
            evaluator.request(parameters=parameters_of(1), evaluation_seed=5)
        assert evaluator.finished(seconds=5.0) == [expected(1, evaluation_seed=5)]
        for _ in range(2):
            with pytest.raises(WorkersFailed, match="ended by itself, with signal 9"):
                evaluator.finished(seconds=5.0)
        assert evaluator.outstanding == 1


def test_what_comes_before_and_after_the_steps_has_the_time_of_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    status, entered = WorkerStatus(), list[Phase]()
    monkeypatch.setattr(status, "enter", entered.append)
    ours, theirs = multiprocessing.Pipe()

    def summary(played: Any) -> Evaluation:
        # The first summary imports what it needs, which takes longer than a step may.
        assert entered[-1] is Phase.START
        return summarised(played)

    monkeypatch.setattr("triax.evaluation.process.summarised", summary)
    with ours, theirs, contextlib.closing(status), contextlib.closing(inline_evaluator(watcher=status)) as evaluator:
        ours.send(_Request(parameters=parameters_of(1), evaluation_seed=5))
        _answer(evaluator=evaluator, connection=theirs, status=status)
        assert ours.recv() == expected(1, evaluation_seed=5)
    first_step = entered.index(Phase.STEP)
    assert entered[0] is entered[first_step - 1] is entered[-1] is Phase.START
    assert Phase.STEP not in entered[:first_step]
    assert Phase.RESET in entered[:first_step]


def test_an_environment_that_cannot_be_sent_is_refused() -> None:
    probe = CounterProbe()
    with pytest.raises(CannotSendToWorkers, match="the environment cannot be sent"):
        EvaluatorProcess(
            make=lambda: CounterProbe(),
            make_policy=ConstantPolicy,
            observation_spec=space_spec(space=probe.observation_space, role="observation"),
            action_spec=space_spec(space=probe.action_space, role="action"),
            config=CONFIG,
            supervision=SupervisionConfig(),
        )
