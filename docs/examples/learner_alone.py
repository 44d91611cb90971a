"""SAC without experiments, run directories and training loops: its pure functions, a collector and a replay."""

import functools

import gymnasium
import jax
import numpy as np

import triax
from triax.replay import Replay
from triax.rollout import Collector, EnvironmentBatch
from triax.spaces import space_spec
from triax.types import ActionMode


def train(*, config: triax.SACConfig, steps: int, seed: int = 0) -> list[float]:
    """Train on Pendulum, one update a step.

    :param config: SAC's settings.
    :param steps: environment steps.
    :param seed: of everything random.
    :return: the returns of the episodes, oldest first.
    """
    make = functools.partial(gymnasium.make, "Pendulum-v1")
    observations = space_spec(space=make().observation_space, role="observation")
    actions = space_spec(space=make().action_space, role="action")
    learner = config.build(observation_spec=observations, action_spec=actions)
    plan = learner.data_plan
    environments = EnvironmentBatch(make=make, count=1, seed=seed, observation_spec=observations, action_spec=actions)
    collector = Collector(
        environments=environments,
        policy=learner.policy,
        observation_spec=observations,
        action_spec=actions,
        extras_spec={},
        seed=seed,
    )
    capacity = triax.ReplayConfig(capacity=steps)
    replay = Replay(config=capacity, observation_spec=observations, action_spec=actions, extras_spec={}, streams=1)
    ingest = jax.jit(learner.ingest, donate_argnames="state")
    update = jax.jit(learner.update, donate_argnames="state")

    key, generator = jax.random.key(seed), np.random.default_rng(seed)
    state = learner.initial_state(key=key)
    returns = []
    for step in range(steps):
        mode = ActionMode.RANDOM if step < plan.warmup_steps else ActionMode.SAMPLE
        parameters = learner.policy_parameters(state=state)
        chunk = collector.collect(parameters=parameters, mode=mode, steps=1, policy_version=step)
        replay.insert(chunk)
        state, _ = ingest(state=state, chunk=chunk.trajectory)
        returns += [episode.undiscounted_return for episode in chunk.episodes]
        if step >= plan.warmup_steps:
            batches = replay.sample(unit=plan.unit, batch_size=plan.batch_size, batches=1, generator=generator)
            batch = jax.tree.map(lambda leaf: leaf[0], batches)
            state, _ = update(state=state, batch=batch, key=jax.random.fold_in(key, step))
    collector.close()
    return returns


if __name__ == "__main__":
    print(train(config=triax.SACConfig(normalise_observations=True, warmup_steps=500), steps=10_000))
