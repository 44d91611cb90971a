"""SAC without experiments, run directories and training loops: its pure functions, a collector and a replay."""

import functools
from typing import Any

import gymnasium
import jax
import numpy as np

import triax
from triax.replay import Replay
from triax.rollout import Collector, EnvironmentBatch
from triax.spaces import space_spec
from triax.types import ActionMode


def train(*, config: triax.SACConfig, steps: int, seed: int = 0) -> list[float]:
    """Train on Pendulum for some steps, with an update for each; give the episodes' returns, oldest first."""
    make = functools.partial(gymnasium.make, "Pendulum-v1")
    specs: dict[str, Any] = {
        "observation_spec": space_spec(space=make().observation_space, role="observation"),
        "action_spec": space_spec(space=make().action_space, role="action"),
    }
    learner = config.build(**specs)
    plan = learner.data_plan
    environments = EnvironmentBatch(make=make, count=1, seed=seed, **specs)
    collector = Collector(environments=environments, policy=learner.policy, extras_spec={}, seed=seed, **specs)
    replay = Replay(config=triax.ReplayConfig(capacity=steps), streams=1, **specs)
    ingest, update = (jax.jit(function, donate_argnames="state") for function in (learner.ingest, learner.update))

    key, generator, returns = jax.random.key(seed), np.random.default_rng(seed), []
    state = learner.initial_state(key=key)
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
