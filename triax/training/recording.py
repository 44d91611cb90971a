"""Recording demonstrations: a trained agent plays, and its episodes become a dataset."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from triax.datasets import RecordedEpisode, write_dataset
from triax.environments import EnvironmentConfig
from triax.random import derive_seed, episode_seed
from triax.training.agent import Agent


def record_dataset(
    *,
    agent: Agent,
    environment: EnvironmentConfig,
    dataset: str,
    episodes: int,
    seed: int,
    deterministic: bool,
    root: Path | None,
) -> tuple[float, ...]:
    """Play episodes and write them as a Minari dataset.

    :param agent: who plays.
    :param environment: where.
    :param dataset: the dataset's id, ending in a version such as ``-v0``.
    :param episodes: how many.
    :param seed: of the starts.
    :param deterministic: whether the policy's mode acts.
    :param root: the folder of all datasets; None: the one that Minari takes.
    :return: the return of each episode.
    :raises ValueError: if the id is not a dataset's or is taken.
    """
    made = environment.make()
    try:
        played = [
            play_episode(
                agent=agent,
                environment=made,
                seed=episode_seed(seed=derive_seed(seed=seed, name=("recording",)), environment=0, episode=episode),
                deterministic=deterministic,
            )
            for episode in range(episodes)
        ]
        write_dataset(id=dataset, episodes=played, environment=made, root=root)
    finally:
        made.close()
    return tuple(float(np.sum(episode.rewards)) for episode in played)


def play_episode(
    *, agent: Agent, environment: gymnasium.Env[Any, Any], seed: int, deterministic: bool
) -> RecordedEpisode:
    """Play one episode and keep what was seen, done and given, as the environment has it.

    :param agent: who plays.
    :param environment: where.
    :param seed: of the reset.
    :param deterministic: whether the policy's mode acts.
    :return: the episode.
    """
    agent.reset()
    observation, _ = environment.reset(seed=seed)
    observations, actions, rewards = [observation], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = agent.act(observation=observation, deterministic=deterministic)
        observation, reward, terminated, truncated, _ = environment.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
    return RecordedEpisode(
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminated=bool(terminated),
        truncated=bool(truncated),
        seed=seed,
    )
