"""SAC without the rest of Triax: a training loop around a learner's pure functions.

What a learner needs are the specs of two spaces, and batches. Where the batches come from is this file's business
alone: one Gymnasium environment, and a list of everything that happened in it.
"""

import gymnasium
import jax
import numpy as np

import triax
from triax.spaces import space_spec
from triax.types import ActionMode, RowOrigin, Trajectory, Transitions


def train(*, config: triax.SACConfig, steps: int, seed: int = 0) -> list[float]:
    """Train on Pendulum, one update a step.

    :param config: SAC's settings.
    :param steps: environment steps.
    :param seed: of everything random.
    :return: the returns of the episodes, oldest first.
    """
    environment = gymnasium.make("Pendulum-v1")
    observations = space_spec(space=environment.observation_space, role="observation")
    actions = space_spec(space=environment.action_space, role="action")
    learner = config.build(observation_spec=observations, action_spec=actions)
    act = jax.jit(learner.policy.act, static_argnames="mode")
    ingest = jax.jit(learner.ingest, donate_argnames="state")
    update = jax.jit(learner.update, donate_argnames="state")

    generator, key = np.random.default_rng(seed), jax.random.key(seed)
    state = learner.initial_state(key=jax.random.fold_in(key, 0))
    carry = learner.policy.initial_carry(batch_shape=(1,))
    rows: list[Transitions] = []
    returns, episode_return, is_first = [], 0.0, True
    outside, _ = environment.reset(seed=seed)
    for step in range(1, steps + 1):
        act_key, update_key = jax.random.split(jax.random.fold_in(key, step))
        observation = observations.stack_to_inside([outside])
        output = act(
            parameters=learner.policy_parameters(state=state),
            carry=carry,
            observation=observation,
            is_first=np.array([is_first]),
            key=act_key,
            mode=ActionMode.SAMPLE,
        )
        action, carry = np.array(output.action), output.carry
        outside, reward, terminated, truncated, _ = environment.step(actions.unstack_to_outside(action)[0])
        episode_return += float(reward)

        # One step of one environment, as a trajectory with T = 1 and B = 1, and as a row of the replay.
        next_observation = observations.stack_to_inside([outside])
        ended = terminated or truncated
        chunk = Trajectory(
            observation=np.stack([observation, next_observation]),
            action=action[None],
            reward=np.array([[reward]], np.float32),
            terminated=np.array([[terminated]]),
            truncated=np.array([[truncated]]),
            is_first=np.array([[is_first], [False]]),
            is_last=np.array([[False], [ended]]),
        )
        state, _ = ingest(state=state, chunk=chunk)
        zero = np.zeros(1, np.int32)
        rows.append(
            Transitions(
                observation=observation,
                action=action,
                reward=np.array([reward], np.float32),
                discount=np.array([0.0 if terminated else config.discount], np.float32),
                next_observation=next_observation,
                weight=np.ones(1, np.float32),
                extras=(),
                origin=RowOrigin(source=zero, task=zero, slot=zero, generation=zero),
            )
        )
        if len(rows) >= config.warmup_steps:
            drawn = [rows[row] for row in generator.integers(len(rows), size=config.batch_size)]
            batch = jax.tree.map(lambda *leaves: np.concatenate(leaves), *drawn)
            state, _ = update(state=state, batch=batch, key=update_key)

        is_first = ended
        if ended:
            returns.append(episode_return)
            outside, _ = environment.reset()
            episode_return = 0.0
    environment.close()
    return returns


if __name__ == "__main__":
    print(train(config=triax.SACConfig(normalise_observations=True, warmup_steps=500), steps=10_000))
