"""The batch's ends of episodes, seeds and errors."""

import pickle
import sys
import traceback
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from rollout_helpers import Ending, Scripted, batch_of, flags, specs_of

from triax.environments.probes import ConstantRewardProbe, NanProbe, ProbeFailure, RaisingProbe
from triax.random import episode_seed
from triax.rollout import EnvironmentFailed, NonFiniteAction, NonFiniteExperience

NOTHING = np.zeros(2, np.int32)


def test_the_step_after_an_end_resets_and_termination_wins_over_truncation() -> None:
    batch = batch_of(make=Ending, count=1)
    steps = [batch.step(np.zeros(1, np.int32)) for _ in range(8)]
    assert [step.observation[0].tolist() for step in steps] == [
        *([1, 1], [1, 2], [1, 3]),
        *([2, 0], [2, 1], [2, 2], [2, 3]),
        [3, 0],
    ]
    no, yes = [False], [True]
    assert flags(steps[1]) == [no, no, no, no]
    assert flags(steps[2]) == [yes, no, no, yes]  # the environment said both
    assert flags(steps[3]) == [no, no, yes, no]
    assert flags(steps[6]) == [no, yes, no, yes]
    assert flags(steps[7]) == [no, no, yes, no]
    assert [step.reward[0] for step in steps] == [np.float32(r) for r in (0.1, 0.1, 0.1, 0, 0.1, 0.1, 0.1, 0)]
    (summary,) = steps[2].episodes
    assert (summary.undiscounted_return, summary.length, summary.environment) == (0.1 + 0.1 + 0.1, 3, 0)
    assert [len(step.episodes) for step in steps] == [0, 0, 1, 0, 0, 0, 1, 0]
    assert batch.resets == 3
    batch.close()


class Sticky(Ending):
    """Cannot be closed once it was used."""

    def close(self) -> None:
        if self.seeds:
            raise RuntimeError("the door is stuck")


def test_an_environment_that_cannot_be_closed_keeps_no_other_from_it() -> None:
    batch = batch_of(make=Sticky, count=2)
    with pytest.warns(UserWarning, match=r"close\(\) raised RuntimeError: the door is stuck") as said:
        batch.close()
    assert len(said) == 2


def test_trap_20_every_reset_has_its_own_seed_and_the_same_in_every_run() -> None:
    def seeds_of(*, seed: int, first_environment: int) -> list[list[int | None]]:
        made: list[Ending] = []

        def make() -> Ending:
            made.append(Ending())
            return made[-1]

        batch = batch_of(make=make, count=2, seed=seed, first_environment=first_environment)
        for _ in range(9):
            batch.step(NOTHING)
        batch.close()
        return [environment.seeds for environment in made[1:]]  # the first was made for its spaces

    first = seeds_of(seed=0, first_environment=0)
    assert first == seeds_of(seed=0, first_environment=0)
    assert first == [[episode_seed(seed=0, environment=b, episode=k) for k in range(3)] for b in range(2)]
    others = [*seeds_of(seed=0, first_environment=2), *seeds_of(seed=1, first_environment=0)]
    every = [seed for seeds in (*first, *others) for seed in seeds]
    assert len(set(every)) == len(every) == 18


def test_an_exception_inside_names_the_place_and_keeps_its_traceback() -> None:
    batch = batch_of(make=lambda: RaisingProbe(at_step=3), count=2, first_environment=6)
    batch.step(NOTHING)
    batch.step(NOTHING)
    with pytest.raises(EnvironmentFailed) as caught:
        batch.step(np.array([1, 0], np.int32))
    seed = episode_seed(seed=0, environment=6, episode=0)
    assert str(caught.value) == (
        "ProbeFailure: RaisingProbe fails at step 3, as it was told to.; raised in environment 6, episode 0 "
        f"(reset with seed {seed}), step 3, after action np.int64(1)"
    )
    assert isinstance(caught.value.__cause__, ProbeFailure)
    frames = traceback.extract_tb(caught.value.__cause__.__traceback__)
    assert frames[-1].filename.endswith("bookkeeping.py")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.place == caught.value.place
    assert copy.place.step == 3
    batch.close()


def test_a_failing_reset_closes_what_was_made() -> None:
    made: list[Scripted] = []

    class Failing(Scripted):
        def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
            if len(made) == 3:
                raise ProbeFailure("no reset")
            return super().reset(**options)

    def make() -> Scripted:
        made.append(Failing())
        return made[-1]

    with pytest.raises(EnvironmentFailed, match=r"no reset; raised in environment 0, episode 0 .*step 0, after the"):
        batch_of(make=make, count=2)
    assert [environment.closed for environment in made] == [1, 1, 1]


def test_numbers_that_are_none_name_the_place_and_show_the_observation() -> None:
    batch = batch_of(make=lambda: NanProbe(at_step=2), count=2)
    batch.step(NOTHING)
    with pytest.raises(NonFiniteExperience) as caught:
        batch.step(np.array([1, 0], np.int32))
    seed = episode_seed(seed=0, environment=0, episode=0)
    assert str(caught.value) == (
        f"the observation is not finite in environment 0, episode 0 (reset with seed {seed}), step 2, after action "
        "np.int64(1); the observation is array([nan], dtype=float32)"
    )
    batch.close()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_the_row_that_is_not_finite_is_found_among_many_and_rewards_are_looked_at(number: float) -> None:
    made: list[Scripted] = []

    class Broken(Scripted):
        observation_space = gymnasium.spaces.Dict(
            {"camera": gymnasium.spaces.Box(0, 255, (2, 2, 1), np.uint8), "joint": Scripted.observation_space}
        )
        broken = ""

        def observe(self) -> Any:
            joint = [number, 0] if self.broken == "joint" else [0, 0]
            return {"camera": np.full((2, 2, 1), 255, np.uint8), "joint": np.array(joint, np.float64)}

        def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
            observation, reward, *rest = super().step(action)
            return observation, number if self.broken == "reward" else reward, *rest

    def make() -> Broken:
        made.append(Broken())
        return made[-1]  # type: ignore[return-value]

    for broken, message in (("joint", "the observation is not finite"), ("reward", f"the reward is {number}")):
        made.clear()
        batch = batch_of(make=make, count=3)
        made[-2].broken = broken  # type: ignore[attr-defined]
        with pytest.raises(NonFiniteExperience, match=f"{message} in environment 1, episode 0"):
            batch.step(np.zeros(3, np.int32))
        batch.close()


def test_an_environment_is_not_blamed_for_an_action_that_is_no_number() -> None:
    class Echoing(Scripted):
        """Shows its action."""

        action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        shown: Any = (0.0, 0.0)

        def observe(self) -> Any:
            return np.array(self.shown, np.float64)

        def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
            self.shown = action
            return super().step(action)

    broken = np.array([[0.0, 0.0], [0.0, np.nan]], np.float32)
    refusing = partial(ConstantRewardProbe, actions="nested")
    choices, bits, _ = specs_of(refusing)[1].zeros(batch_shape=(2,))
    cases: tuple[tuple[Any, Any], ...] = (
        (Echoing, broken),
        (partial(gymnasium.make, "Pendulum-v1"), broken[:, 1:]),
        (refusing, (choices, bits, {"amount": broken[:, 1:]})),
    )
    for make, action in cases:
        batch = batch_of(make=make, count=2)
        with pytest.raises(NonFiniteAction, match=r"^the policy's action is not finite in environment 1, .*nan"):
            batch.step(action)
        batch.close()


def test_an_observation_of_another_shape_is_refused() -> None:
    class Shrinking(Scripted):
        def observe(self) -> Any:
            return super().observe() if self.steps < 2 else np.zeros(1)

    batch = batch_of(make=Shrinking, count=1)
    batch.step(np.zeros(1, np.int32))
    promised = r"of its space: an array of shape \(2,\) is promised, and there is one of shape \(1,\); in environment 0"
    with pytest.raises(EnvironmentFailed, match=promised):
        batch.step(np.zeros(1, np.int32))
    batch.close()


@pytest.mark.parametrize(
    ("space", "observation", "message"),
    [
        (
            spaces.Box(0, 255, (2,), np.uint8),
            np.array([0.2, 0.9]),
            r"bytes \(uint8\) are promised, .* float64 from 0.2 to",
        ),
        (
            spaces.Box(0, 255, (2,), np.uint8),
            np.array([0, 300]),
            r"bytes \(uint8\) are promised, .* int64 from 0 to 300",
        ),
        (spaces.Discrete(4), 9, "choices from 0 to 3 are promised, and there is 9"),
        (spaces.Discrete(4, start=1), 0, "choices from 1 to 4 are promised, and there is 0"),
        (spaces.Discrete(4), 1.7, "choices from 0 to 3 are promised, and there is 1.7"),
        (spaces.MultiBinary(2), np.array([0, 5]), "bits are promised, and there is .*5"),
        (spaces.Box(-1, 1, (1,)), np.array([1j]), "real numbers are promised, and there is ndarray"),
        (spaces.Box(-1, 1, (1,)), None, "real numbers are promised, and there is NoneType"),
        (
            spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2)),
            {"a": 1},
            r"structure is another one \(KeyError: 'b'",
        ),
        (spaces.Dict(a=spaces.Discrete(2)), {"a": 2}, "'a': choices from 0 to 1 are promised"),
        (spaces.Tuple([spaces.Discrete(2)] * 2), (1,), "structure is another one"),
    ],
)
def test_a_first_observation_that_is_none_of_its_space_is_refused(
    space: "gymnasium.Space[Any]", observation: Any, message: str
) -> None:
    class Wrong(Scripted):
        observation_space = space

        def observe(self) -> Any:
            return observation

    with pytest.raises(EnvironmentFailed, match=f"the observation is none of its space: .*{message}"):
        batch_of(make=Wrong, count=1)


def test_an_observation_whose_structure_changes_is_refused() -> None:
    class Changing(Scripted):
        observation_space = spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2))

        def observe(self) -> Any:
            return {"a": 0, "b": 1} if self.steps < 1 else {"a": 0}

    batch = batch_of(make=Changing, count=1)
    with pytest.raises(EnvironmentFailed, match=r"its structure is another one \(KeyError: 'b'\); in environment 0, "):
        batch.step(np.zeros(1, np.int32))
    batch.close()


def test_a_reward_that_32_bits_do_not_hold_is_refused() -> None:
    class Rich(Scripted):
        def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
            observation, _, *rest = super().step(action)
            return observation, 1e39, *rest

    batch = batch_of(make=Rich, count=1)
    with pytest.raises(EnvironmentFailed, match=r"the reward is 1e\+39, more than 32 bits hold; in environment 0, "):
        batch.step(np.zeros(1, np.int32))
    batch.close()


def test_an_environment_that_ends_the_process_is_one_that_raises() -> None:
    class Leaving(Scripted):
        def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
            sys.exit(3)

    batch = batch_of(make=Leaving, count=1)
    with pytest.raises(EnvironmentFailed, match="SystemExit: 3; raised in environment 0, "):
        batch.step(np.zeros(1, np.int32))
    batch.close()


def test_closing_twice_closes_once() -> None:
    made: list[Scripted] = []

    def make() -> Scripted:
        made.append(Scripted())
        return made[-1]

    batch = batch_of(make=make, count=2)
    batch.close()
    batch.close()
    assert [environment.closed for environment in made[1:]] == [1, 1]
