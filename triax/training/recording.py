"""Recording demonstrations: a trained agent plays, and its episodes become a dataset."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from triax.datasets import DatasetNotes, RecordedEpisode, check_recordable, write_dataset
from triax.environments import EnvironmentConfig
from triax.environments.physics.wrapper import PHYSICS
from triax.random import derive_generator, derive_seed, episode_seed
from triax.rollout.seeded import close_environment
from triax.training.agent import Agent


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingLimits:
    """How much is recorded, and of what."""

    episodes: int = 20
    """So many at most."""
    steps: int | None = None
    """So many steps of all episodes together: the last one is cut off there; None: as many as the episodes have."""
    episode_steps: int | None = None
    """An episode is cut off after so many; None: the environment ends it."""
    piece_steps: int | None = None
    """Of each episode a piece of so many successive steps, at a random place; None: all of it."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise ValueError(f"RecordingLimits.{name}={value} must be at least 1.")


def record_dataset(
    *,
    agent: Agent,
    environment: EnvironmentConfig,
    dataset: str,
    limits: RecordingLimits,
    seed: int,
    deterministic: bool,
    root: Path | None,
    notes: DatasetNotes | None = None,
) -> tuple[float, ...]:
    """Play episodes and write them as a Minari dataset, with the physics of each where it is randomised.

    :param agent: who plays.
    :param environment: where.
    :param dataset: the dataset's id, ending in a version such as ``-v0``.
    :param limits: how much.
    :param seed: of the starts, and of the pieces' places.
    :param deterministic: whether the policy's mode acts.
    :param root: the folder of all datasets; None: the one that Minari takes.
    :param notes: what people should know of it.
    :return: the return of each recorded episode, or piece.
    :raises UnsupportedSpace: if a dataset cannot hold what the environment gives.
    :raises ValueError: if the id is not a dataset's or is taken.
    """
    made = environment.make()
    recorded: list[RecordedEpisode] = []
    missing = limits.steps
    try:
        check_recordable(observation_space=made.observation_space, action_space=made.action_space)
        for episode in range(limits.episodes):
            played = play_episode(
                agent=agent,
                environment=made,
                seed=episode_seed(seed=derive_seed(seed=seed, name=("recording",)), environment=0, episode=episode),
                deterministic=deterministic,
                limit=limits.episode_steps,
            )
            if limits.piece_steps is not None:
                generator = derive_generator(seed=seed, name=("recording", "piece", episode))
                start = int(generator.integers(max(1, len(played.rewards) - limits.piece_steps + 1)))
                played = piece_of(played, start=start, steps=limits.piece_steps)
            if missing is not None:
                played = piece_of(played, start=0, steps=missing)
                missing -= len(played.rewards)
            recorded.append(played)
            if missing == 0:
                break
        write_dataset(id=dataset, episodes=recorded, environment=made, root=root, notes=notes)
    finally:
        close_environment(made)
    return tuple(float(np.sum(episode.rewards)) for episode in recorded)


def piece_of(episode: RecordedEpisode, *, start: int, steps: int) -> RecordedEpisode:
    """Cut a piece of successive steps out of an episode. One that ends before the episode does is truncated there.

    :param episode: the episode.
    :param start: the first step.
    :param steps: how many; fewer, if the episode has no more.
    :return: the piece.
    """
    end = min(start + steps, len(episode.rewards))
    whole = end == len(episode.rewards)
    return dataclasses.replace(
        episode,
        observations=episode.observations[start : end + 1],
        actions=episode.actions[start:end],
        rewards=episode.rewards[start:end],
        terminated=whole and episode.terminated,
        truncated=episode.truncated or not whole,
    )


def play_episode(
    *,
    agent: Agent,
    environment: gymnasium.Env[Any, Any],
    seed: int,
    deterministic: bool,
    limit: int | None = None,
) -> RecordedEpisode:
    """Play one episode and keep what was seen, done and given, as the environment has it.

    :param agent: who plays.
    :param environment: where.
    :param seed: of the reset.
    :param deterministic: whether the policy's mode acts.
    :param limit: steps after which it is cut off; None: the environment ends it.
    :return: the episode.
    """
    agent.reset()
    observation, info = environment.reset(seed=seed)
    # Copies: an environment may write the next observation where this one stands.
    observations, actions, rewards = [copy.deepcopy(observation)], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        action = agent.act(observation=observation, deterministic=deterministic)
        recorded = copy.deepcopy(action)
        observation, reward, terminated, truncated, _ = environment.step(action)
        observations.append(copy.deepcopy(observation))
        actions.append(recorded)
        rewards.append(float(reward))
        truncated = truncated or (len(rewards) == limit and not terminated)
    return RecordedEpisode(
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminated=bool(terminated),
        truncated=bool(truncated),
        seed=seed,
        physics=info.get(PHYSICS, {}),
    )
