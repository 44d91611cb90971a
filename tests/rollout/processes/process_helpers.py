"""Environments that go wrong in worker processes, and a fleet of them. At the top level, so that they can be sent."""

import dataclasses
import functools
import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from triax.random import KeyArray
from triax.rollout import RolloutConfig
from triax.rollout.processes import ProcessFleet
from triax.spaces import space_spec
from triax.trees import Tree
from triax.types import ActionMode, Chunk, PolicyOutput


class DiaryEnvironment(gymnasium.Env[Any, Any]):
    """Shows the reset's first random number, the step, whether JAX is kept to the CPU and computes
    where it is called, and how many threads it has.

    :param trouble: what happens at the third step: "raise", "nan", "sleep"; or "start", which raises when it is made;
        or "reset", which raises in each reset.
    :param length: steps of an episode.
    :param closed: a file that is written when the environment is closed.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, *, trouble: str = "", length: int = 10, closed: Path | None = None) -> None:
        if trouble == "start":
            raise RuntimeError("no licence for this simulator")
        self._trouble = trouble
        self._closed = closed
        self._length = length
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if self._trouble == "reset":
            raise RuntimeError("the table is not set")
        self._number = float(self.np_random.random())
        self._step = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        if self._step == 3 and self._trouble == "raise":
            raise RuntimeError("the gripper fell off")
        if self._step == 3 and self._trouble == "sleep":
            time.sleep(3600.0)
        reward = float("nan") if self._step == 3 and self._trouble == "nan" else 1.0
        return self._observation(), reward, False, self._step == self._length, {}

    def close(self) -> None:
        if self._closed is not None:
            self._closed.touch()

    def _observation(self) -> Any:
        in_place = not jax.config.read("jax_cpu_enable_async_dispatch")  # type: ignore[no-untyped-call]
        on_cpu = float(os.environ.get("JAX_PLATFORMS") == "cpu" and in_place)
        return np.array([self._number, self._step, on_cpu, _computing_threads()], np.float32)


def _computing_threads() -> int:
    names = (path.read_text() for path in Path("/proc/self/task").glob("*/comm"))
    return sum(name.startswith("tf_XLAEigen") for name in names)


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Acts as its parameter says, whatever it sees."""

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
        action = jnp.broadcast_to(parameters["action"], (*is_first.shape, 1))
        return PolicyOutput(action=action, carry=carry, extras={})


def diary_fleet(
    *, config: RolloutConfig, trouble: str = "", chunk_steps: int = 4, closed: Path | None = None
) -> ProcessFleet:
    """Make a fleet of diaries; its workers start when it first collects."""
    return ProcessFleet(
        config=config,
        make=functools.partial(DiaryEnvironment, trouble=trouble, closed=closed),
        make_policy=VersionPolicy,
        observation_spec=space_spec(space=DiaryEnvironment.observation_space, role="observation"),
        action_spec=space_spec(space=DiaryEnvironment.action_space, role="action"),
        extras_spec={},
        chunk_steps=chunk_steps,
        seed=7,
    )


def publish(fleet: ProcessFleet, *, version: int, mode: ActionMode = ActionMode.SAMPLE) -> None:
    """Publish a policy whose actions are its version, in hundredths."""
    fleet.publish(parameters={"action": np.full((1,), version / 100, np.float32)}, version=version, mode=mode)


def collect_until_restart(fleet: ProcessFleet, *, seconds: float = 600.0) -> list[Chunk]:
    """Collect until a worker was started again and has delivered."""
    chunks: list[Chunk] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        chunks += fleet.collect(minimum=1, timeout=1.0)
        if any(chunk.origin is not None and chunk.origin.life > 0 for chunk in chunks):
            return chunks
    raise AssertionError(f"no worker came back within {seconds} s")
