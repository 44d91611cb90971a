"""The probes of the policy: returns of the best, a wrong and a random policy, worked out by hand."""

from collections.abc import Callable
from typing import Any

import jaxtyping
import numpy as np
import pytest

from triax.environments import probes


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the tests' checker of annotations, which takes most of the time where there are many steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def number(value: float) -> Any:
    return np.array([value], dtype=np.float32)


def always(action: Any) -> Callable[[Any], Any]:
    """The policy that does not look."""
    return lambda _: action


def returns(probe: Any, *, policy: Callable[[Any], Any], episodes: int, seed: int = 1) -> float:
    """The mean undiscounted return of a policy."""
    total = 0.0
    for episode in range(episodes):
        observation, _ = probe.reset(seed=seed if episode == 0 else None)
        ended = False
        while not ended:
            observation, reward, terminated, truncated, _ = probe.step(policy(observation))
            total += reward
            ended = terminated or truncated
    return total / episodes


def random_return(probe: Any, *, episodes: int = 6000) -> float:
    probe.action_space.seed(2)
    return returns(probe, policy=lambda _: probe.action_space.sample(), episodes=episodes)


@pytest.mark.usefixtures("unchecked")
def test_action_discrete() -> None:
    probe = probes.ActionProbe(actions="discrete", right_choice=1)
    assert [returns(probe, policy=always(a), episodes=1) for a in range(3)] == [0.0, 1.0, 0.0]
    assert probe.best_return == 1.0
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.03)


@pytest.mark.usefixtures("unchecked")
def test_action_continuous() -> None:
    probe = probes.ActionProbe(actions="continuous", centre=0.5)
    # −(0.5 − 0.5)² = 0, −(0 − 0.5)² = −0.25, −(−1 − 0.5)² = −2.25.
    assert [returns(probe, policy=always(number(a)), episodes=1) for a in (0.5, 0.0, -1.0)] == [0, -0.25, -2.25]
    assert probe.best_return == 0.0
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.03)


@pytest.mark.usefixtures("unchecked")
def test_action_and_observation_discrete() -> None:
    probe = probes.ActionObservationProbe(actions="discrete")
    assert returns(probe, policy=lambda o: int(o[0]), episodes=100) == probe.best_return == 1.0
    assert returns(probe, policy=lambda o: 1 - int(o[0]), episodes=100) == 0.0
    assert returns(probe, policy=lambda _: 1, episodes=3000) == pytest.approx(0.5, abs=0.03)
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.03)


@pytest.mark.usefixtures("unchecked")
def test_action_and_observation_continuous() -> None:
    probe = probes.ActionObservationProbe(actions="continuous")
    assert returns(probe, policy=lambda o: o, episodes=100) == probe.best_return == 0.0
    # Without a look, 0 is best: −E o² = −1/3.
    assert returns(probe, policy=lambda _: number(0.0), episodes=6000) == pytest.approx(-1 / 3, abs=0.02)
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.03)


@pytest.mark.usefixtures("unchecked")
def test_mixed() -> None:
    probe = probes.MixedActionProbe()

    def best(observation: Any) -> Any:
        return {"choice": int(observation[0] > 0), "amount": observation / 2}

    def mirrored(observation: Any) -> Any:
        # The wrong choice, and an amount that is wrong by 1: 0 − 1² = −1.
        return {"choice": int(observation[0] < 0), "amount": -observation / 2}

    assert returns(probe, policy=best, episodes=50) == probe.best_return == 1.0
    assert returns(probe, policy=mirrored, episodes=50) == -1.0
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.03)


@pytest.mark.usefixtures("unchecked")
def test_nested() -> None:
    probe = probes.NestedActionProbe()

    def parts(choices: list[int], bits: list[int], amount: float) -> Any:
        return np.array(choices), np.array(bits, dtype=np.int8), {"amount": number(amount)}

    right = {1.0: parts([2, 1], [1, 0], 0.5), -1.0: parts([0, 0], [0, 1], -0.5)}
    assert returns(probe, policy=lambda o: right[float(o[0])], episodes=50) == probe.best_return == 4.0
    # All parts of the other observation: nothing right, the amount wrong by 1.
    assert returns(probe, policy=lambda o: right[-float(o[0])], episodes=50) == -1.0
    # One of two choices and one of two bits right, the amount wrong by 0.5: 1 + 1 − 0.25, for either observation.
    assert returns(probe, policy=lambda _: parts([2, 0], [1, 1], 0.0), episodes=50) == 1.75
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.05)


@pytest.mark.usefixtures("unchecked")
def test_image_names_the_lit_half() -> None:
    probe = probes.ImageProbe()
    observation, _ = probe.reset(seed=0)
    assert observation.shape == (12, 12, 1)
    assert observation.dtype == np.uint8
    assert observation.sum() == 255 * 72  # half of 144 pixels
    assert returns(probe, policy=lambda o: int(o[0, 11, 0] > 0), episodes=100) == probe.best_return == 1.0
    assert returns(probe, policy=lambda o: int(o[0, 0, 0] > 0), episodes=100) == 0.0
    assert random_return(probe) == pytest.approx(probe.random_return, abs=0.03)
    with pytest.raises(ValueError, match=r"positive and even.*is 7"):
        probes.ImageProbe(size=7)


def test_memory_needs_the_first_observation() -> None:
    probe = probes.MemoryProbe()
    for seed in range(10):
        cue, _ = probe.reset(seed=seed)
        bit = int(cue[0] > 0)
        assert abs(cue[0]) == 1.0
        assert cue[1] == 0.0
        # The actions before the question have no effect.
        silent, reward_1, *_ = probe.step(1 - bit)
        asked, reward_2, *_ = probe.step(1 - bit)
        _, reward_3, terminated, *_ = probe.step(bit)
        # What is seen after the cue does not tell the bit.
        assert (silent.tolist(), asked.tolist()) == ([0.0, 0.0], [0.0, 1.0])
        assert (reward_1, reward_2, reward_3, terminated) == (0.0, 0.0, 1.0, True)


@pytest.mark.usefixtures("unchecked")
def test_memory_without_a_memory() -> None:
    probe = probes.MemoryProbe()
    # A policy of the current observation alone answers the cue and, when asked, always the same.
    assert returns(probe, policy=lambda o: int(o[0] > 0), episodes=3000) == pytest.approx(0.5, abs=0.03)
    assert random_return(probe, episodes=3000) == pytest.approx(probe.random_return, abs=0.03)
