"""The ways back to the middle of an episode, and what happens where there is none."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from rollout_helpers import Ending, Make, Scripted, assert_same_bits, batch_of, flags

from triax.environments.probes import CounterProbe
from triax.rollout import UnfaithfulEnvironment
from triax.rollout.resuming import ActionLog, observation_digest
from triax.spaces import space_spec

NOTHING = np.zeros(2, np.int32)


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
