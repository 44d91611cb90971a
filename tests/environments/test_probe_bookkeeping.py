"""The probes of the machinery: the counter's marks, and the failures at the step that was asked for."""

import gymnasium
import numpy as np
import pytest

from triax.environments import probes


def test_counter_marks_every_step_of_the_episode_that_the_seed_tells() -> None:
    probe = probes.CounterProbe(minimum_steps=2, maximum_steps=5)
    lengths, endings, identities = set(), set(), set()
    for seed in range(60):
        episode = probe.episode(seed=seed)
        observation, _ = probe.reset(seed=seed)
        assert observation.tolist() == [episode.identity, 0.0, -1.0]
        for step in range(1, episode.steps + 1):
            action = (seed + step) % 5
            observation, reward, terminated, truncated, _ = probe.step(action)
            assert observation.tolist() == [episode.identity, step, action]
            assert reward == step
            last = step == episode.steps
            assert (terminated, truncated) == (last and episode.terminated, last and not episode.terminated)
        lengths.add(episode.steps)
        endings.add(episode.terminated)
        identities.add(episode.identity)
    assert lengths == {2, 3, 4, 5}
    assert endings == {False, True}
    assert len(identities) == 60


def test_counter_marks_are_exact_up_to_the_greatest_identity() -> None:
    greatest = 2**24 - 1
    assert float(np.float32(greatest)) == greatest
    assert float(np.float32(2**24 + 1)) != 2**24 + 1  # and this is why it stops there
    space = probes.CounterProbe().observation_space
    assert isinstance(space, gymnasium.spaces.Box)
    assert space.high[0] == greatest


@pytest.mark.parametrize("bounds", [(0, 3), (4, 3)])
def test_counter_refuses_bounds_without_a_length(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 <= minimum_steps <= maximum_steps"):
        probes.CounterProbe(minimum_steps=bounds[0], maximum_steps=bounds[1])


def test_nan_comes_at_the_one_step_of_each_episode() -> None:
    probe = probes.NanProbe(at_step=3, steps=5)
    for seed in range(2):
        probe.reset(seed=seed)
        steps = [probe.step(0) for _ in range(5)]
        assert [bool(np.isnan(step[0][0])) for step in steps] == [False, False, True, False, False]
        assert [step[3] for step in steps] == [False] * 4 + [True]


def test_raising_comes_at_the_one_step_of_each_episode() -> None:
    probe = probes.RaisingProbe(at_step=3)
    for seed in range(2):
        probe.reset(seed=seed)
        probe.step(0)
        probe.step(0)
        with pytest.raises(probes.ProbeFailure, match="fails at step 3"):
            probe.step(0)
