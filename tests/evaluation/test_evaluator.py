"""The evaluator counts each of its episodes once, whatever their lengths, and remembers nothing."""

import dataclasses
import itertools
from functools import partial
from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from evaluation_helpers import LONG, FivePolicy, TwoLengths, evaluator_of

from triax.environments.physics import (
    PhysicsParameter,
    PhysicsTable,
    RandomisedPhysics,
    Uniform,
    episode_physics,
)
from triax.environments.probes import NanProbe
from triax.evaluation import EvaluationConfig
from triax.random import derive_seed, episode_seed
from triax.rollout import NonFiniteExperience
from triax.trees import replace
from triax.types import ActionMode, PolicyOutput

PARAMETERS = jnp.int32(0)


class TwoPolicy(FivePolicy):
    """Two choices."""

    def act(self, **arguments: Any) -> PolicyOutput:
        output = super().act(**arguments)
        return replace(output, action=output.action % 2)


def expected_lengths(*, evaluation_seed: int, episodes: int) -> list[int]:
    seed = derive_seed(seed=evaluation_seed, name=("evaluation", "episodes"))
    lengths = []
    for episode in range(episodes):
        generator, _ = gymnasium.utils.seeding.np_random(episode_seed(seed=seed, environment=0, episode=episode))
        lengths.append(LONG if generator.integers(2) else 1)
    return lengths


@pytest.mark.parametrize("environments", [1, 4, 20, 64])
def test_each_episode_is_played_to_its_end_and_counted_once(environments: int) -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=20, environments=environments))
    evaluation = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=3)
    assert evaluation is not None
    lengths = expected_lengths(evaluation_seed=3, episodes=20)
    assert list(evaluation.lengths) == lengths
    assert set(lengths) == {1, LONG}
    # Sums in 64 bits, in the order of the steps (Python's own sum() compensates, from 3.12 on).
    sums = {length: float(np.cumsum(np.full(length, 1.1))[-1]) for length in (1, LONG)}
    assert list(evaluation.returns) == [sums[length] for length in lengths]
    assert evaluation.successes == tuple(length == LONG for length in lengths)
    assert evaluation.mean == pytest.approx(np.mean(evaluation.returns))
    assert evaluation.interval_low < evaluation.mean < evaluation.interval_high
    assert len(TwoLengths.made) == min(environments, 20)
    assert sum(len(environment.seeds) for environment in TwoLengths.made) == 20
    assert sum(len(environment.actions) for environment in TwoLengths.made) == sum(lengths)
    evaluator.close()


def test_there_is_no_bias_towards_short_episodes_and_taking_the_first_to_finish_has_one() -> None:
    episodes, environments, evaluations = 16, 16, 12
    evaluator = evaluator_of(config=EvaluationConfig(episodes=episodes, environments=environments))
    means = []
    for evaluation_seed in range(evaluations):
        evaluation = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=evaluation_seed)
        assert evaluation is not None
        means.append(evaluation.mean)
    evaluator.close()
    # True mean 1.1 · (1 + 100) / 2 = 55.55; one return has a standard deviation of 54.45, so the mean over 192 of
    # them one of 3.93. Three and a half of those are 14.
    assert np.mean(means) == pytest.approx(55.55, abs=14)

    # The naive scheme: 16 environments, the first 16 episodes to finish. An environment that draws a long one is out of
    # the race, and the others fill the list with short ones.
    naive = []
    for evaluation_seed in range(evaluations):
        generator = np.random.default_rng(evaluation_seed)
        ends = []
        for _ in range(environments):
            lengths = np.where(generator.integers(2, size=episodes) == 1, LONG, 1)
            ends += [(end, length) for end, length in zip(np.cumsum(lengths), lengths, strict=True)]
        naive.append(np.mean([1.1 * length for _, length in sorted(ends)[:episodes]]))
    assert np.mean(naive) < 55.55 - 25


def test_an_evaluation_depends_on_parameters_and_seed_alone() -> None:
    config = EvaluationConfig(episodes=6, environments=4, deterministic=False)
    make = partial(gymnasium.make, "CartPole-v1")
    policy = TwoPolicy()
    evaluator = evaluator_of(config=config, policy=policy, make=make)
    first = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=0)
    other = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=1)
    calls = itertools.count()
    assert evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=5, stop=lambda: next(calls) >= 7) is None
    again = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=0)
    fresh = evaluator_of(config=config, policy=TwoPolicy(), make=make)
    assert first == again == fresh.evaluate(parameters=PARAMETERS, evaluation_seed=0)
    assert first is not None
    assert other is not None
    assert first.returns != other.returns
    assert first.successes is None
    assert policy.traces == [(ActionMode.SAMPLE, (4,))]
    evaluator.close()
    fresh.close()


def test_each_episode_says_its_physics() -> None:
    table = (PhysicsParameter(element="environment", attribute="gravity", distribution=Uniform(low=9.0, high=10.0)),)
    make = partial(randomised_cart_pole, table=table)
    config = EvaluationConfig(episodes=5, environments=2)
    evaluator = evaluator_of(config=config, policy=TwoPolicy(), make=make)
    evaluation = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=3)
    evaluator.close()
    assert evaluation is not None
    seed = derive_seed(seed=3, name=("evaluation", "episodes"))
    seeds = [episode_seed(seed=seed, environment=0, episode=episode) for episode in range(5)]
    assert evaluation.physics == tuple(episode_physics(table=table, seed=own).values for own in seeds)
    assert len({values["environment gravity"] for values in evaluation.physics}) == 5


def randomised_cart_pole(*, table: PhysicsTable) -> gymnasium.Env[Any, Any]:
    return RandomisedPhysics(gymnasium.make("CartPole-v1"), table=table)


def test_trap_20_each_episode_has_a_seed_of_its_own() -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=8, environments=3))
    for evaluation_seed in (0, 1):
        evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=evaluation_seed)
    seeds = [seed for environment in TwoLengths.made for seed in environment.seeds]
    assert len(set(seeds)) == 16
    evaluator.close()


def test_trap_20_sampled_actions_follow_the_evaluations_seed() -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=8, environments=8, deterministic=False))
    first_actions = []
    for evaluation_seed in (0, 1, 2, 0):
        begins = [len(environment.actions) for environment in TwoLengths.made] or [0] * 8
        evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=evaluation_seed)
        first_actions.append(
            tuple(environment.actions[begin] for environment, begin in zip(TwoLengths.made, begins, strict=True))
        )
    assert first_actions[0] == first_actions[3]
    assert len(set(first_actions)) == 3  # two of eight actions each agree in one case of 390,625
    evaluator.close()


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_mode_acts_or_a_sample(deterministic: bool) -> None:
    policy = FivePolicy()
    evaluator = evaluator_of(
        config=EvaluationConfig(episodes=8, environments=3, deterministic=deterministic), policy=policy
    )
    evaluator.evaluate(parameters=jnp.int32(1), evaluation_seed=0)
    by_episode: list[list[int]] = []
    for environment in TwoLengths.made:
        # The deterministic policy says (1 + step of the episode) mod 5: its memory begins afresh in each episode.
        actions, rest = [], list(environment.actions)
        for seed in environment.seeds:
            generator, _ = gymnasium.utils.seeding.np_random(seed)
            length = LONG if generator.integers(2) else 1
            actions.append(rest[:length])
            rest = rest[length:]
        assert not rest
        by_episode += actions
    expected = [[(1 + step + 1) % 5 for step in range(len(actions))] for actions in by_episode]
    assert (by_episode == expected) == deterministic
    long = [tuple(actions) for actions in by_episode if len(actions) == LONG]
    assert len(long) > 1
    assert len(set(long)) == (1 if deterministic else len(long))
    assert policy.traces == [(ActionMode.MODE if deterministic else ActionMode.SAMPLE, (3,))]
    evaluator.close()


def test_a_stop_ends_it_at_once_and_without_a_result() -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=10, environments=2))
    calls = itertools.count()
    assert evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=3, stop=lambda: next(calls) >= 5) is None
    assert sum(len(environment.actions) for environment in TwoLengths.made) == 10
    assert evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=3, stop=lambda: False) is not None
    evaluator.close()


def test_environments_are_made_when_needed_and_closed_once() -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=2, environments=2))
    assert TwoLengths.made == []
    for _ in range(2):
        evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=0)
    assert len(TwoLengths.made) == 2
    evaluator.close()
    evaluator.close()
    assert [environment.closed for environment in TwoLengths.made] == [1, 1]


def test_one_episode_has_an_interval_too() -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=1))
    evaluation = evaluator.evaluate(parameters=PARAMETERS, evaluation_seed=0)
    assert evaluation is not None
    assert evaluation.interval_low == evaluation.mean == evaluation.interval_high
    evaluator.close()


def test_what_is_not_a_number_is_refused() -> None:
    evaluator = evaluator_of(config=EvaluationConfig(episodes=2), make=lambda: NanProbe(at_step=2))
    # The action is (−1 + step) mod 5: 0, then 1.
    with pytest.raises(NonFiniteExperience, match=r"environment 0, episode 0 .*step 2"):
        evaluator.evaluate(parameters=jnp.int32(-1), evaluation_seed=0)
    evaluator.close()


@pytest.mark.parametrize("name", ["interval", "episodes", "environments"])
def test_the_config_refuses_nonsense(name: str) -> None:
    with pytest.raises(ValueError, match=f"EvaluationConfig.{name}=0"):
        dataclasses.replace(EvaluationConfig(), **{name: 0})  # type: ignore[arg-type]
