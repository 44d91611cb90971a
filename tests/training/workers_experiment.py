"""An experiment on worker processes; run as ``python tests/training/workers_experiment.py TROUBLE COMMAND …``.

TROUBLE is "none", "raise" (each worker's environment raises at its 150th step) or "evaluator" (its environment raises).
"""

import multiprocessing
import sys
from typing import Any

import gymnasium

import triax


class Failing(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Raises at its 150th step in a worker, but not where policies are evaluated."""

    def __init__(self, env: "gymnasium.Env[Any, Any]") -> None:
        super().__init__(env)
        self._steps = 0

    def step(self, action: Any) -> Any:
        self._steps += 1
        if self._steps == 150 and multiprocessing.current_process().name.startswith("triax-worker"):
            raise RuntimeError("the gripper fell off")
        return super().step(action)


class FailingEvaluation(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Raises in its reset where policies are evaluated."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if multiprocessing.current_process().name == "triax-evaluator":
            raise RuntimeError("the judge fell asleep")
        return super().reset(seed=seed, options=options)


WRAPPERS = {"none": (), "raise": (Failing,), "evaluator": (FailingEvaluation,)}


def experiment(*, trouble: str) -> triax.Experiment:
    """Build it.

    :param trouble: as above.
    :return: the experiment.
    """
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(32,)))
    return triax.Experiment(
        name="workers",
        learner=triax.SACConfig(actor=small, critic=small, batch_size=64, warmup_steps=100),
        environment=triax.EnvironmentConfig(id="Pendulum-v1", wrappers=WRAPPERS[trouble]),
        rollout=triax.RolloutConfig(backend="processes"),
        total_steps=3000,
        evaluation=triax.EvaluationConfig(interval=1000, episodes=2, environments=2),
        loop=triax.LoopConfig(log_interval=500, video=False),
    )


if __name__ == "__main__":
    triax.main(experiment(trouble=sys.argv.pop(1)))
