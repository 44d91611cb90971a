"""Small experiments that the drills of resuming stop and go on with; run as ``python tests/training/resumable.py NAME
…``."""

import dataclasses
import sys

import triax
from triax.learners.interface import LearnerConfig


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


if __name__ == "__main__":
    chosen = sys.argv.pop(1)
    triax.main(experiment(name=chosen))
