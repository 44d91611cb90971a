"""What ``benchmarks/fault_drill.py`` trains: an environment whose observations say who made them, and that goes wrong
on demand.

    python benchmarks/fault_drill_experiment.py train --help
"""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import triax

FAULTS = ("raise", "nan", "sleep")
"""What an environment can do wrong: the name of the file that asks for it."""

EPISODE_STEPS = 50


class DrillEnvironment(gymnasium.Env[Any, Any]):
    """The observation is (an episode's own random number, in three parts, and the step). In a worker, it does what
    files ask for.

    :param faults: a folder; a file "raise", "nan" or "sleep" in it is taken away by whoever does so.
    :param step_seconds: how long a step takes.
    """

    observation_space: "gymnasium.Space[Any]" = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space: "gymnasium.Space[Any]" = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, *, faults: str, step_seconds: float = 0.002) -> None:
        self._faults = Path(faults)
        self._step_seconds = step_seconds
        self._in_worker = multiprocessing.current_process().name.startswith("triax-worker")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._number = self.np_random.integers(2**16, size=3)
        self._step = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Make a step; go wrong if asked to."""
        self._step += 1
        reward = -float(abs(action[0]))
        if self._in_worker:
            time.sleep(self._step_seconds)
            for fault in FAULTS:
                if self._takes(fault):
                    reward = self._go_wrong(fault, reward=reward)
        return self._observation(), reward, False, self._step == EPISODE_STEPS, {}

    def _observation(self) -> Any:
        return np.array([*self._number, self._step], np.float32)

    def _takes(self, fault: str) -> bool:
        try:
            os.unlink(self._faults / fault)
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def _go_wrong(fault: str, *, reward: float) -> float:
        if fault == "raise":
            raise RuntimeError("the drill's environment raises")
        if fault == "sleep":
            time.sleep(3600.0)
        return float("nan") if fault == "nan" else reward


small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(32,)))

experiment = triax.Experiment(
    name="fault_drill",
    learner=triax.SACConfig(actor=small, critic=small, batch_size=64, warmup_steps=500, updates_per_step=0.5),
    environment=triax.EnvironmentConfig(factory=DrillEnvironment, arguments={"faults": "faults"}),
    rollout=triax.RolloutConfig(
        backend="processes",
        workers=2,
        supervision=triax.SupervisionConfig(start_seconds=60.0, step_seconds=4.0, restarts=100),
    ),
    total_steps=150_000,
    evaluation=triax.EvaluationConfig(interval=2000, episodes=4, environments=4),
    checkpoint=triax.CheckpointConfig(interval=2000),
    loop=triax.LoopConfig(log_interval=500, video=False),
)

if __name__ == "__main__":
    triax.main(experiment)
