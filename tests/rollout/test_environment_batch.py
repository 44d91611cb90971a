"""The batch's ends of episodes, seeds, errors and ways back to the middle of an episode."""

import pickle
import traceback
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from rollout_helpers import Make, assert_same_bits, batch_of

from triax.environments.probes import CounterProbe, NanProbe, ProbeFailure, RaisingProbe
from triax.random import episode_seed
from triax.rollout import EnvironmentFailed, EnvironmentStep, NonFiniteExperience, UnfaithfulEnvironment
from triax.rollout.resuming import ActionLog, observation_digest
from triax.spaces import space_spec

NOTHING = np.zeros(2, np.int32)


class Scripted(gymnasium.Env[Any, Any]):
    """Base of the environments below: the observation is (number of its reset, step), the reward 0.1."""

    observation_space: "gymnasium.Space[Any]" = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space: "gymnasium.Space[Any]" = gymnasium.spaces.Discrete(5)

    def __init__(self) -> None:
        self.resets = 0
        self.steps = 0
        self.seeds: list[int | None] = []
        self.closed = 0

    def observe(self) -> Any:
        return np.array([self.resets, self.steps], np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.resets, self.steps = self.resets + 1, 0
        self.seeds.append(seed)
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.observe(), 0.1, False, False, {}

    def close(self) -> None:
        self.closed += 1


class Ending(Scripted):
    """Step 3 both terminates and truncates odd episodes, and truncates the others."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, self.steps == 3 and self.resets % 2 == 1, self.steps == 3, info


def flags(step: EnvironmentStep) -> list[list[bool]]:
    return [getattr(step, name).tolist() for name in ("terminated", "truncated", "is_first", "is_last")]


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


def test_an_observation_of_another_shape_is_refused() -> None:
    class Shrinking(Scripted):
        def observe(self) -> Any:
            return super().observe() if self.steps < 2 else np.zeros(1)

    batch = batch_of(make=Shrinking, count=1)
    batch.step(np.zeros(1, np.int32))
    with pytest.raises(ValueError, match=r"promises an array of shape \(2,\), and the environment gives .* \(1,\)"):
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


def test_a_restored_batch_goes_on_as_if_nothing_had_been() -> None:
    generator = np.random.default_rng(0)
    actions = generator.integers(0, 5, (80, 3)).astype(np.int32)
    straight = batch_of(make=CounterProbe, count=3)
    states, steps = [], []
    for action in actions:
        states.append(straight.state())
        steps.append(straight.step(action))
    assert any(state.is_last.any() for state in states)
    assert any((state.length == 0).any() for state in states[1:])
    resumed = batch_of(make=CounterProbe, count=3)
    for cut in (70, 0, 13, 14, 15, 16, 17, 41):
        resumed.restore(states[cut])
        assert_same_bits(resumed.state(), states[cut])
        for row in range(cut, min(cut + 20, 80)):
            found = resumed.step(actions[row])
            assert_same_bits(found.observation, steps[row].observation)
            assert flags(found) == flags(steps[row])
            assert found.reward.tolist() == steps[row].reward.tolist()
            assert found.episodes == steps[row].episodes
    other = batch_of(make=CounterProbe, count=2)
    with pytest.raises(ValueError, match="one of 3 environments, and these are 2"):
        other.restore(states[0])
    for batch in (straight, resumed, other):
        batch.close()


class Remembering(Scripted):
    """The number of its resets outlasts them: it cannot be brought back by taking its actions again."""


class NoisyReward(Ending):
    """Shows the same, and pays at random."""

    def observe(self) -> Any:
        return np.array([0, self.steps], np.float64)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, _, *rest = super().step(action)
        return observation, np.random.random(), *rest  # noqa: NPY002


class EarlyEnd(Scripted):
    """Ends its second life after one step, the first one never; shows nothing of it."""

    def observe(self) -> Any:
        return np.zeros(2)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, self.resets > 1, False, info


class EndNow(EarlyEnd):
    """The same, after two steps: just where the test cuts."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, self.resets > 1 and self.steps == 2, info


@pytest.mark.parametrize("make", [Remembering, NoisyReward, EarlyEnd, EndNow])
def test_an_unfaithful_environment_is_named_and_begins_its_next_episode(make: Make) -> None:
    batch = batch_of(make=make, count=2, first_environment=4)
    for _ in range(2):
        batch.step(NOTHING)
    state = batch.state()
    with pytest.warns(UnfaithfulEnvironment, match="Resuming is not exact") as caught:
        batch.restore(state)
    messages = [str(warning.message) for warning in caught]
    assert [message.split(" did not")[0] for message in messages] == ["environment 4", "environment 5"]
    assert batch.is_first.tolist() == [True, True]
    assert not batch.is_last.any()
    after = batch.state()
    assert after.episode.tolist() == [1, 1]
    assert after.length.tolist() == after.action_count.tolist() == [0, 0]
    assert batch.resets == 4
    assert batch.step(NOTHING).is_first.tolist() == [False, False]
    batch.close()


def test_a_difference_in_the_last_bit_of_64_is_noticed() -> None:
    class Drifting(Scripted):
        def observe(self) -> Any:
            return np.array([1.0 + self.resets * np.finfo(np.float64).eps, self.steps])

    batch = batch_of(make=Drifting, count=1)
    batch.step(np.zeros(1, np.int32))
    with pytest.warns(UnfaithfulEnvironment):
        batch.restore(batch.state())
    batch.close()
    assert observation_digest({"a": 1, "b": 2}).tolist() != observation_digest({"a": 2, "b": 1}).tolist()


class OwnState(Remembering):
    """Cannot be brought back by its actions, and says itself where it stands."""

    truthful = True

    def get_episode_state(self) -> bytes:
        return bytes([self.resets, self.steps])

    def set_episode_state(self, state: bytes) -> Any:
        self.resets, self.steps = state
        self.resets += not self.truthful
        return self.observe()


def test_an_environment_may_offer_its_own_state() -> None:
    made: list[Scripted] = []

    def make() -> Scripted:
        made.append(OwnState() if len(made) < 2 else Ending())
        return made[-1]

    batch = batch_of(make=make, count=2)  # of OwnState and of Ending, the first made being asked for its spaces
    for _ in range(3):
        batch.step(NOTHING)
    state = batch.state()
    assert state.own_state_size.tolist() == [2, -1]
    assert state.action_count.tolist() == [0, 3]
    made[2].resets = 0  # so that Ending, which remembers too, comes back
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch.restore(state)
    assert_same_bits(batch.state(), state)
    assert [summary.length for summary in batch.step(NOTHING).episodes] == []
    assert batch.observation.tolist() == [[1, 4], [2, 0]]
    made[1].truthful = False  # type: ignore[attr-defined]
    made[2].resets = 1
    with pytest.warns(UnfaithfulEnvironment, match="environment 0 "):
        batch.restore(batch.state())
    assert batch.state().episode.tolist() == [1, 1]
    batch.close()


def test_the_log_of_actions_grows_with_the_longest_episode_and_no_further() -> None:
    space = gymnasium.spaces.Dict(a=gymnasium.spaces.Discrete(10**6), b=gymnasium.spaces.Box(-1.0, 1.0, (3,)))
    log = ActionLog(spec=space_spec(space=space, role="action"), count=2)
    generator = np.random.default_rng(0)
    kept: list[list[int]] = [[], []]
    for step in range(5000):
        log.append({"a": np.array([step, step + 10**5], np.int32), "b": np.full((2, 3), step, np.float32)})
        for row in range(2):
            kept[row].append(step + row * 10**5)
            # Row 0 runs for 700 steps first, after which episodes last 30 steps or so.
            if (step > 700 or row == 1) and generator.integers(30) == 0:
                log.forget(row)
                kept[row] = []
            actions = log.since_reset(row)
            assert actions["a"].tolist() == kept[row]
            assert actions["b"].shape == (len(kept[row]), 3)
    assert log.capacity == 1024
    pieces = [log.since_reset(row) for row in range(2)]
    other = ActionLog(spec=space_spec(space=space, role="action"), count=2)
    other.replace(pieces)
    for row in range(2):
        assert_same_bits(other.since_reset(row), pieces[row])
