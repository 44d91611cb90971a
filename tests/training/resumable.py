"""Small experiments that the drills of resuming stop and go on with; run as ``python tests/training/resumable.py NAME
…``. What a run is at stands in the file that the environment variable ``MARKER`` names.
"""

import dataclasses
import functools
import os
import sys
from typing import Any

import triax
from triax.evaluation import Evaluator
from triax.learners.interface import LearnerConfig
from triax.runs import CheckpointStore
from triax.training.loops import OfflineLoop, OnPolicyLoop, ReplayLoop

PHASES = {
    "stepping": ((ReplayLoop, "advance"), (OnPolicyLoop, "advance"), (OfflineLoop, "advance")),
    "evaluating": ((Evaluator, "evaluate"),),
    "saving": ((CheckpointStore, "save"),),
}
"""What a run can be at, and the methods that it is in then."""


def experiment(*, name: str) -> triax.Experiment:
    """Build one of the experiments.

    :param name: sac, mixed_sets (sac on mixed actions and sets), ppo, a2c, stream_ac or bc.
    :return: the experiment; it takes some seconds.
    """
    small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(32,)))
    small_sets = dataclasses.replace(small, encoder=triax.EncoderConfig(set=triax.SetEncoderConfig(blocks=1, units=16)))
    learners: dict[str, LearnerConfig] = {
        "sac": triax.SACConfig(
            actor=small,
            critic=small,
            batch_size=64,
            warmup_steps=200,
            n_step=3,
            normalise_observations=True,
            exploration=triax.PinkNoise(),
        ),
        "mixed_sets": triax.SACConfig(
            actor=small_sets, critic=small_sets, batch_size=32, warmup_steps=200, updates_per_step=0.5
        ),
        "ppo": triax.PPOConfig(steps=32, minibatch_size=64, epochs=3, normalise_observations=True),
        "a2c": triax.A2CConfig(steps=8, critic_optimizer=triax.OptimizerConfig(), normalise_observations=True),
        "stream_ac": triax.StreamACConfig(actor=small, critic=small),
        "bc": triax.BCConfig(batch_size=64, actor=small, normalise_observations=True, held_out_interval=200),
    }
    steps = {"sac": 6000, "mixed_sets": 3000, "ppo": 20_480, "a2c": 20_480, "stream_ac": 3000, "bc": 8000}[name]
    return triax.Experiment(
        name=name,
        learner=learners[name],
        environment=triax.EnvironmentConfig(id="triax/MixedActionSets2D-v0" if name == "mixed_sets" else "Pendulum-v1"),
        dataset=triax.DatasetConfig(id="drill/pendulum-v0") if name == "bc" else None,
        rollout=triax.RolloutConfig(environments_per_worker=1 if name == "stream_ac" else 8),
        total_steps=steps,
        evaluation=triax.EvaluationConfig(interval=steps // 9, episodes=8),
        checkpoint=triax.CheckpointConfig(interval=steps // 13),
        loop=triax.LoopConfig(log_interval=500, video=False),
    )


class Marker:
    """Says what the process is at, and how many iterations of its loop it has made.

    :param path: the file, which is always written as a whole.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT)
        self._iterations = 0

    def say(self, phase: str) -> None:
        """Write that a phase begins."""
        os.pwrite(self._file, f"{phase:<12}{self._iterations:>12}".encode(), 0)

    def follow(self, kind: Any, method: str, *, phase: str) -> None:
        """Say when a method begins and when it has ended."""
        original = getattr(kind, method)

        @functools.wraps(original)
        def followed(*arguments: Any, **named: Any) -> Any:
            self.say(phase)
            result = original(*arguments, **named)
            self._iterations += phase == "stepping"
            self.say("between")
            return result

        setattr(kind, method, followed)


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    marker = Marker(os.environ["MARKER"])
    for phase, methods in PHASES.items():
        for kind, method in methods:
            marker.follow(kind, method, phase=phase)
    triax.main(experiment(name=chosen))
