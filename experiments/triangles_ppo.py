"""PPO paints targets with semi-transparent triangles: stop, edit one of those painted so far, or add another one.

The observation is an image with a set, the action an operation with a choice among the set's elements and ten numbers.
"""

import triax

network = triax.NetworkConfig(
    encoder=triax.EncoderConfig(
        image=triax.ImageEncoderConfig(channels=(32, 32), kernels=(4, 3), strides=(2, 2)),
        set=triax.SetEncoderConfig(blocks=1, units=32),
    ),
    torso=triax.MLPConfig(hidden=(256, 256)),
)

experiment = triax.Experiment(
    name="triangles_ppo",
    learner=triax.PPOConfig(
        actor=network,
        critic=network,
        actor_head=triax.ActionHeadConfig(initial_log_std=-0.5, scale=0.01),
        steps=64,
        minibatch_size=512,
        epochs=3,
        discount=0.5,
        entropy_coefficient=0.01,
        optimizer=triax.OptimizerConfig(
            learning_rate=3e-4, schedule="linear", schedule_updates=47_000, max_gradient_norm=0.5, epsilon=1e-5
        ),
    ),
    environment=triax.EnvironmentConfig(
        id="triax/Triangles-v0", arguments={"height": 16, "width": 16, "add_cost": 0.01, "edit_cost": 0.0}
    ),
    relations=(
        triax.UsedBy(parameter="which", choice="operation", options=(1,)),
        triax.UsedBy(parameter="parameters", choice="operation", options=(1, 2)),
    ),
    rollout=triax.RolloutConfig(backend="processes", workers=1, environments_per_worker=64),
    total_steps=8_000_000,
    evaluation=triax.EvaluationConfig(interval=200_000, episodes=100, environments=100),
)

if __name__ == "__main__":
    triax.main(experiment)
