"""PPO among several targets and obstacles of varying number, observed as a set: mixed actions, a transformer.

A random policy succeeds in 0.3 % of episodes, a greedy one that ignores obstacles in 86 %. The set is declared for 12
objects, so that the agent can be evaluated on more than the 1 to 6 that it has seen.
"""

import triax

network = triax.NetworkConfig(
    encoder=triax.EncoderConfig(set=triax.SetEncoderConfig(blocks=1, units=32)),
    torso=triax.MLPConfig(hidden=(128, 128), initialisation="orthogonal", scale=2.0**0.5),
)

experiment = triax.Experiment(
    name="mixed_action_sets_ppo",
    learner=triax.PPOConfig(
        actor=network,
        critic=network,
        actor_head=triax.ActionHeadConfig(initial_log_std=-0.5, scale=0.01),
        steps=128,
        minibatch_size=512,
        epochs=4,
        discount=0.97,
        normalise_observations=True,
        entropy_coefficient=0.01,
        optimizer=triax.OptimizerConfig(
            learning_rate=1e-3, schedule="linear", schedule_updates=7800, max_gradient_norm=0.5, epsilon=1e-5
        ),
    ),
    environment=triax.EnvironmentConfig(id="triax/MixedActionSets2D-v0", arguments={"objects": (1, 6), "maximum": 12}),
    relations=(
        triax.UsedBy(parameter="move", component=0, choice="choice", options=(0,)),
        triax.UsedBy(parameter="move", component=1, choice="choice", options=(1,)),
    ),
    rollout=triax.RolloutConfig(backend="processes", environments_per_worker=64),
    total_steps=1_000_000,
    evaluation=triax.EvaluationConfig(interval=50_000, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)
