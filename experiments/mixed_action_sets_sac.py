"""SAC among several targets and obstacles of varying number, observed as a set: mixed actions, a transformer.

A random policy succeeds in 0.5 % of episodes, a greedy one that ignores obstacles in 88 %. The set is declared for 12
objects, so that the agent can be evaluated on more than the 1 to 6 that it has seen.
"""

import triax

network = triax.NetworkConfig(
    encoder=triax.EncoderConfig(set=triax.SetEncoderConfig(blocks=1, units=32)),
    torso=triax.MLPConfig(hidden=(128, 128)),
)
optimizer = triax.OptimizerConfig(learning_rate=1e-3)

experiment = triax.Experiment(
    name="mixed_action_sets_sac",
    learner=triax.SACConfig(
        actor=network,
        critic=network,
        actor_optimizer=optimizer,
        critic_optimizer=optimizer,
        discount=0.97,
        initial_temperature=0.2,
        batch_size=128,
        warmup_steps=5000,
    ),
    environment=triax.EnvironmentConfig(id="triax/MixedActionSets2D-v0", arguments={"objects": (1, 6), "maximum": 12}),
    relations=(
        triax.UsedBy(parameter="move", component=0, choice="choice", options=(0,)),
        triax.UsedBy(parameter="move", component=1, choice="choice", options=(1,)),
    ),
    rollout=triax.RolloutConfig(backend="processes"),
    total_steps=60_000,
    evaluation=triax.EvaluationConfig(interval=5000, episodes=200, environments=50),
)

if __name__ == "__main__":
    triax.main(experiment)
