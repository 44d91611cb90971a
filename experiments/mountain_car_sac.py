"""SAC drives a car up a mountain that it must swing up to.

With the policy's own white noise it may never find the top, and learn to save fuel instead: the return stays at 0.
Noise that is correlated in time makes the car swing. A random policy scores about −33, a good one 90 and more.
"""

import triax

experiment = triax.Experiment(
    name="mountain_car_sac",
    learner=triax.SACConfig(exploration=triax.PinkNoise()),
    environment=triax.EnvironmentConfig(id="MountainCarContinuous-v0"),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=50_000,
    evaluation=triax.EvaluationConfig(interval=2500, episodes=20, environments=20),
)

if __name__ == "__main__":
    triax.main(experiment)
