"""The evaluator: plays a fixed set of episodes with a policy, to their ends.

Which episodes are played is settled before the first step: episode ``i`` has its own seed, and environment ``b`` of
``E`` plays the episodes ``b``, ``b + E``, ``b + 2E`` and so on. Taking the first n episodes to *finish* instead would
prefer short ones, and with them, in most tasks, bad or good ones.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from triax.evaluation.config import EvaluationConfig
from triax.random import derive_key, derive_seed, episode_seed
from triax.rollout import CompiledPolicy, MakeEnvironment
from triax.rollout.environments import Watcher
from triax.rollout.seeded import SeededEnvironment, check_choices, stack_observations
from triax.spaces import SpaceSpec
from triax.statistics import bootstrap_interval
from triax.trees import Tree
from triax.types import ActionMode, Policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation found.

    :ivar returns: the sum of the environment's own rewards, one an episode.
    :ivar lengths: steps of each episode.
    :ivar successes: what the environment's info said under "success" (or "is_success") in the final step of each
        episode; None if it did not say so in all of them.
    :ivar mean: the mean return.
    :ivar interval_low: lower end of the mean's 95 % bootstrap interval.
    :ivar interval_high: upper end.
    :ivar physics: what the environment's info said under "physics" in the final step of each episode: the values of
        randomised parameters; None if it did not say so in all of them.
    """

    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    successes: tuple[bool, ...] | None
    mean: float
    interval_low: float
    interval_high: float
    physics: tuple[Mapping[str, float], ...] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlayedEpisode:
    """An episode that an evaluator has played to its end.

    :ivar undiscounted_return: the sum of the environment's own rewards.
    :ivar length: its steps.
    :ivar success: what the environment's info said of it in the final step; None if nothing.
    :ivar physics: likewise.
    """

    undiscounted_return: float
    length: int
    success: bool | None
    physics: Mapping[str, float] | None


class Evaluator:
    """Evaluates policies, in environments of its own.

    An evaluation is a function of the parameters and its seed: nothing of an earlier one, finished or stopped, is left
    when the next begins, as long as the environment's reset leaves nothing.
    """

    def __init__(
        self,
        *,
        make: MakeEnvironment,
        policy: Policy,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: EvaluationConfig,
        watcher: Watcher | None = None,
    ) -> None:
        """Prepare; the environments are made when they are first needed, and used again.

        :param make: makes one environment.
        :param policy: how to act.
        :param observation_spec: the spec of the observations.
        :param action_spec: the spec of the actions.
        :param config: how many episodes, and how to act.
        :param watcher: is told of each reset and step before it is made.
        """
        self._make = make
        self._observation_spec = observation_spec
        self._action_spec = action_spec
        self._episodes = config.episodes
        self._watcher = watcher
        self._mode = ActionMode.MODE if config.deterministic else ActionMode.SAMPLE
        self._count = min(config.environments, config.episodes)
        self._policy = CompiledPolicy(policy=policy, count=self._count, action_spec=action_spec)
        self._environments: list[SeededEnvironment] = []

    def evaluate(
        self, *, parameters: Tree, evaluation_seed: int, stop: Callable[[], bool] | None = None
    ) -> Evaluation | None:
        """Play all episodes.

        :param parameters: the learner's ``policy_parameters``; must not be donated meanwhile.
        :param evaluation_seed: the seed of the episodes and of the actions' randomness.
        :param stop: asked in every step; an evaluation that it stops is lost.
        :return: what was found; None if it was stopped.
        :raises EnvironmentFailed: if an environment raises, or an observation allows no choice.
        :raises NonFiniteExperience: if an observation or a reward is NaN or infinite.
        :raises NonFiniteAction: in the place of these, if the action is.
        """
        played = self.play(parameters=parameters, evaluation_seed=evaluation_seed, stop=stop)
        return None if played is None else summarised(played)

    def close(self) -> None:
        """Close the environments. Closing twice does nothing more; evaluating again makes new ones."""
        environments, self._environments = self._environments, []
        for environment in environments:
            environment.close()

    def play(
        self, *, parameters: Tree, evaluation_seed: int, stop: Callable[[], bool] | None = None
    ) -> list[PlayedEpisode] | None:
        """Play all episodes, without a summary of them; as :meth:`evaluate`.

        :param parameters: the learner's ``policy_parameters``; must not be donated meanwhile.
        :param evaluation_seed: the seed of the episodes and of the actions' randomness.
        :param stop: asked in every step; an evaluation that it stops is lost.
        :return: the episodes by their numbers; None if it was stopped.
        """
        key = derive_key(seed=evaluation_seed, name=("evaluation", "actions"))
        reset_seed = derive_seed(seed=evaluation_seed, name=("evaluation", "episodes"))
        environments = self._made()
        parameters = jax.device_put(parameters)  # Arrays of NumPy would be brought there in every step.

        def begin(environment: SeededEnvironment, episode: int) -> None:
            if self._watcher is not None:
                self._watcher.resetting()
            # By the episode's number alone, so that the number of environments does not change the episodes.
            environment.begin(episode=episode, seed=episode_seed(seed=reset_seed, environment=0, episode=episode))

        played: dict[int, PlayedEpisode] = {}
        for row, environment in enumerate(environments):
            begin(environment, row)
        is_first = np.ones(self._count, np.bool_)
        carry = self._policy.initial_carry()
        step = 0
        playing = dict(enumerate(environments))  # The rows of the others are there for the shape alone.
        while playing:
            if stop is not None and stop():
                return None
            observation = stack_observations(environments=environments, spec=self._observation_spec)
            check_choices(
                environments=environments,
                observation=observation,
                observation_spec=self._observation_spec,
                action_spec=self._action_spec,
            )
            output = self._policy.act(
                parameters=parameters,
                carry=carry,
                observation=observation,
                is_first=is_first,
                key=key,
                counter=step,
                mode=self._mode,
            )
            carry, step = output.carry, step + 1
            is_first = np.zeros(self._count, np.bool_)
            actions = self._action_spec.unstack_to_outside(output.action)
            for row, environment in tuple(playing.items()):
                if self._watcher is not None:
                    self._watcher.stepping()
                environment.advance(actions[row])
                if environment.ended:
                    played[environment.episode] = _played(environment)
                    following = environment.episode + self._count
                    if following < self._episodes:
                        begin(environment, following)
                        is_first[row] = True
                    else:
                        del playing[row]
        return [played[episode] for episode in range(self._episodes)]

    def _made(self) -> list[SeededEnvironment]:
        while len(self._environments) < self._count:
            self._environments.append(SeededEnvironment(environment=self._make(), number=len(self._environments)))
        return self._environments


def summarised(played: Sequence[PlayedEpisode]) -> Evaluation:
    """Say what all episodes of an evaluation come to.

    :param played: the episodes.
    :return: the evaluation.
    """
    returns = [episode.undiscounted_return for episode in played]
    successes = [episode.success for episode in played if episode.success is not None]
    physics = [episode.physics for episode in played if episode.physics is not None]
    interval = bootstrap_interval(returns, statistic="mean", confidence=0.95, seed=0)
    return Evaluation(
        returns=tuple(returns),
        lengths=tuple(episode.length for episode in played),
        successes=tuple(successes) if len(successes) == len(played) else None,
        mean=float(np.mean(returns)),
        interval_low=interval.low,
        interval_high=interval.high,
        physics=tuple(physics) if len(physics) == len(played) else None,
    )


def _played(environment: SeededEnvironment) -> PlayedEpisode:
    info: dict[str, Any] = environment.info
    success = info.get("success", info.get("is_success"))
    return PlayedEpisode(
        undiscounted_return=environment.undiscounted_return,
        length=environment.length,
        success=None if success is None else bool(success),
        physics=info.get("physics"),
    )
