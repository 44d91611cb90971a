"""The probes of the value function: each one's stated answer, checked by stepping it."""

import numpy as np
import pytest

from triax.environments import probes


def test_constant_reward() -> None:
    probe = probes.ConstantRewardProbe()
    probe.reset(seed=0)
    observation, reward, terminated, truncated, _ = probe.step(1)
    assert (observation.tolist(), reward, terminated, truncated) == ([0.0], 1.0, True, False)
    assert probe.value() == 1.0


def test_observed_reward_is_the_observation() -> None:
    probe = probes.ObservedRewardProbe()
    probe.reset(seed=0)
    seen = set()
    for _ in range(20):
        observation, _ = probe.reset()
        _, reward, terminated, _, _ = probe.step(0)
        assert terminated
        assert reward == observation[0] == probe.value(observation=float(observation[0]))
        seen.add(reward)
    assert seen == {-1.0, 1.0}


def test_two_steps() -> None:
    probe = probes.TwoStepProbe()
    first, _ = probe.reset(seed=0)
    second, reward_1, terminated_1, *_ = probe.step(0)
    _, reward_2, terminated_2, *_ = probe.step(0)
    assert (first[0], second[0]) == (0.0, 1.0)
    assert (reward_1, terminated_1, reward_2, terminated_2) == (0.0, False, 1.0, True)
    # 0 + 0.9 · 1 at first, 1 at the second step.
    assert probe.value(observation=float(first[0]), discount=0.9) == 0.9
    assert probe.value(observation=float(second[0]), discount=0.9) == 1.0


def test_endless_reward_is_truncated_and_never_terminated() -> None:
    probe = probes.EndlessRewardProbe(steps=4)
    probe.reset(seed=0)
    outcomes = [probe.step(0)[1:4] for _ in range(4)]
    assert outcomes == [(1.0, False, False)] * 3 + [(1.0, False, True)]
    # γ = 0.9: 1 / 0.1 = 10 for ever. With truncation taken for termination: V = 1 + 0.9 · 3/4 · V, V = 1 / 0.325.
    assert probe.value(discount=0.9) == pytest.approx(10.0)
    assert probe.wrong_value(discount=0.9) == pytest.approx(1.0 / 0.325)


@pytest.mark.parametrize("bootstraps", [True, False], ids=["right", "wrong"])
def test_both_values_of_the_endless_reward_are_what_one_step_targets_lead_to(bootstraps: bool) -> None:
    probe = probes.EndlessRewardProbe(steps=5)
    probe.reset(seed=0)
    steps = [probe.step(0)[1:4] for _ in range(5)]
    value, discount = 0.0, 0.8
    for _ in range(200):
        goes_on = [not (terminated or (truncated and not bootstraps)) for _, terminated, truncated in steps]
        targets = [float(step[0]) + discount * value * on for step, on in zip(steps, goes_on, strict=True)]
        value = sum(targets) / len(targets)
    assert value == pytest.approx(probe.value(discount=discount) if bootstraps else probe.wrong_value(discount=0.8))


def test_ending_reward_is_a_finite_sum() -> None:
    probe = probes.EndingRewardProbe(steps=3)
    observations = [probe.reset(seed=0)[0][0]]
    outcomes = []
    for _ in range(3):
        observation, *outcome, _ = probe.step(0)
        observations.append(observation[0])
        outcomes.append(outcome)
    np.testing.assert_allclose(observations, [0.0, 1 / 3, 2 / 3, 1.0], rtol=1e-6)
    assert outcomes == [[1.0, False, False], [1.0, False, False], [1.0, True, False]]
    # γ = 0.9: 1 + 0.9 + 0.81 = 2.71, then 1.9, then 1; the endless one would be worth 10.
    assert [probe.value(step=step, discount=0.9) for step in range(3)] == pytest.approx([2.71, 1.9, 1.0])
