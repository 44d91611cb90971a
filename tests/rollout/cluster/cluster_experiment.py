"""An experiment on Ray; run as ``python tests/rollout/cluster/cluster_experiment.py COMMAND …``.

Its wrapper stands in ``__main__``, which Ray's workers do not have, and uses a module beside it, which they must find.
"""

from typing import Any

import beside_the_experiment
import gymnasium

import triax


class Scaled(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Scales the reward."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, information = super().step(action)
        return observation, float(reward) * beside_the_experiment.SCALE, terminated, truncated, information


small = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(32,)))

experiment = triax.Experiment(
    name="cluster",
    learner=triax.SACConfig(actor=small, critic=small, batch_size=64, warmup_steps=500),
    environment=triax.EnvironmentConfig(id="Pendulum-v1", wrappers=(Scaled,)),
    rollout=triax.RolloutConfig(backend="ray", workers=2),
    total_steps=6000,
    evaluation=triax.EvaluationConfig(interval=3000, episodes=2, environments=2),
    loop=triax.LoopConfig(log_interval=250, video=False),
)

if __name__ == "__main__":
    triax.main(experiment)
