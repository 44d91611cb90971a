"""Environments that go wrong in Ray's workers, a fleet of them, and nodes of a Ray that are real processes."""

import contextlib
import functools
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from triax.random import KeyArray
from triax.rollout import RolloutConfig
from triax.rollout.cluster import RayFleet
from triax.spaces import space_spec
from triax.trees import Tree
from triax.types import ActionMode, Chunk, PolicyOutput


class DiaryEnvironment(gymnasium.Env[Any, Any]):
    """Shows the reset's first random number, the step, whether JAX is kept to the CPU, and its process.

    :param trouble: what happens at the third step: "raise", "sleep", "exit"; or "start", which raises when it is made;
        or "slow", which takes 0.8 s for each step.
    :param closed: a file that is written when the environment is closed.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, *, trouble: str = "", closed: Path | None = None) -> None:
        if trouble == "start":
            raise RuntimeError("no licence for this simulator")
        self._trouble = trouble
        self._closed = closed
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._number = float(self.np_random.random())
        self._step = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        if self._trouble == "slow":
            time.sleep(0.8)
        if self._step == 3 and self._trouble == "raise":
            raise RuntimeError("the gripper fell off")
        if self._step == 3 and self._trouble == "sleep":
            time.sleep(3600.0)
        if self._step == 3 and self._trouble == "exit":
            os._exit(7)
        return self._observation(), 1.0, False, self._step == 10, {}

    def close(self) -> None:
        if self._closed is not None:
            self._closed.touch()

    def _observation(self) -> Any:
        on_cpu = float(os.environ.get("JAX_PLATFORMS") == "cpu")
        return np.array([self._number, self._step, on_cpu, _computing_threads()], np.float32)


def _computing_threads() -> int:
    names = (path.read_text() for path in Path("/proc/self/task").glob("*/comm"))
    return sum(name.startswith("tf_XLAEigen") for name in names)


class VersionPolicy:
    """Acts as its parameter says, whatever it sees."""

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        return ()

    def act(
        self, *, parameters: Tree, carry: Tree, observation: Tree, is_first: Any, key: KeyArray, mode: ActionMode
    ) -> PolicyOutput:
        import jax.numpy as jnp

        action = jnp.broadcast_to(parameters["action"], (*is_first.shape, 1))
        return PolicyOutput(action=action, carry=carry, extras={})


def diary_fleet(
    *,
    config: RolloutConfig,
    make: Any = DiaryEnvironment,
    trouble: str = "",
    chunk_steps: int = 4,
    closed: Path | None = None,
) -> RayFleet:
    """Make a fleet of diaries; its workers start when it first collects."""
    return RayFleet(
        config=config,
        make=functools.partial(make, trouble=trouble, closed=closed),
        make_policy=VersionPolicy,
        observation_spec=space_spec(space=DiaryEnvironment.observation_space, role="observation"),
        action_spec=space_spec(space=DiaryEnvironment.action_space, role="action"),
        extras_spec={},
        chunk_steps=chunk_steps,
        seed=7,
    )


def publish(fleet: RayFleet, *, version: int, mode: ActionMode = ActionMode.SAMPLE) -> None:
    """Publish a policy whose actions are its version, in hundredths."""
    fleet.publish(parameters={"action": np.full((1,), version / 100, np.float32)}, version=version, mode=mode)


def collect_until_restart(fleet: RayFleet, *, seconds: float = 600.0) -> list[Chunk]:
    """Collect until a worker was started again and has delivered."""
    chunks: list[Chunk] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        chunks += fleet.collect(minimum=1, timeout=1.0)
        if any(chunk.origin is not None and chunk.origin.life > 0 for chunk in chunks):
            return chunks
    raise AssertionError(f"no worker came back within {seconds} s")


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@contextlib.contextmanager
def scratch_ray() -> Iterator[dict[str, str]]:
    """Keep Ray's files out of the user's home and out of /tmp/ray.

    :return: environment variables for it; sockets are in the folder, whose name must therefore be short.
    """
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield {
            "RAY_TMPDIR": folder,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "of-the-tests-" + "0" * 32,
            "RAY_USAGE_STATS_ENABLED": "0",
        }


def descendants(process: int) -> list[int]:
    """List the processes that a process has started, and those that these have started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(path.parent.name))
    found, waiting = [], [process]
    while waiting:
        more = children.get(waiting.pop(), [])
        found += more
        waiting += more
    return found
