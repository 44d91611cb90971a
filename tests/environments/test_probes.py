"""What holds for all probes: Gymnasium's checks, determinism, new observations, refusals."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from triax.environments import probes
from triax.environments.probes import ActionKind, Probe

KINDS: tuple[ActionKind, ...] = ("discrete", "continuous", "mixed", "nested")

ALL: dict[str, Callable[[], Probe]] = {
    **{f"constant-{kind}": partial(probes.ConstantRewardProbe, actions=kind) for kind in KINDS},
    **{f"observed-{kind}": partial(probes.ObservedRewardProbe, actions=kind) for kind in KINDS},
    **{f"two-step-{kind}": partial(probes.TwoStepProbe, actions=kind) for kind in KINDS},
    **{f"endless-{kind}": partial(probes.EndlessRewardProbe, actions=kind) for kind in KINDS},
    **{f"ending-{kind}": partial(probes.EndingRewardProbe, actions=kind) for kind in KINDS},
    "action-discrete": lambda: probes.ActionProbe(actions="discrete"),
    "action-continuous": lambda: probes.ActionProbe(actions="continuous"),
    "action-observation-discrete": lambda: probes.ActionObservationProbe(actions="discrete"),
    "action-observation-continuous": lambda: probes.ActionObservationProbe(actions="continuous"),
    "mixed": probes.MixedActionProbe,
    "nested": probes.NestedActionProbe,
    "image": probes.ImageProbe,
    "memory": probes.MemoryProbe,
    "counter": probes.CounterProbe,
    "nan": probes.NanProbe,
    "raising": probes.RaisingProbe,
}
every_probe = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


@every_probe
def test_gymnasiums_checker_has_nothing_to_say(make: Callable[[], Probe]) -> None:
    # No probe is drawn, so that there is nothing to render.
    check_env(make(), skip_render_check=True)


@every_probe
def test_the_seed_decides_everything(make: Callable[[], Probe]) -> None:
    def play(seed: int) -> list[Any]:
        probe = make()
        probe.action_space.seed(9)
        record: list[Any] = []
        for episode in range(6):
            record.append(np.array(probe.reset(seed=seed if episode == 0 else None)[0]).tolist())
            for _ in range(4):
                observation, reward, terminated, truncated, _ = probe.step(probe.action_space.sample())
                record.append([np.array(observation).tolist(), reward, terminated, truncated])
                if terminated or truncated:
                    break
        return record

    assert play(seed=3) == play(seed=3)


@pytest.mark.parametrize(
    "make",
    [ALL[name] for name in ("observed-discrete", "action-observation-continuous", "image", "memory", "counter")],
)
def test_episodes_differ(make: Callable[[], Probe]) -> None:
    # The negative control of determinism: over 20 episodes, not all begin alike.
    probe = make()
    probe.reset(seed=0)
    assert len({np.array(probe.reset()[0]).tobytes() for _ in range(20)}) > 1


@every_probe
def test_observations_lie_in_the_space_and_are_new_objects(make: Callable[[], Probe]) -> None:
    probe = make()
    probe.action_space.seed(0)
    for seed in range(5):
        seen = [probe.reset(seed=seed)[0]]
        ended = False
        while not ended and len(seen) < 4:  # the failing ones fail later
            observation, _, terminated, truncated, _ = probe.step(probe.action_space.sample())
            assert probe.observation_space.contains(observation)
            assert not any(np.shares_memory(observation, earlier) for earlier in seen)
            seen.append(observation)
            ended = terminated or truncated
        assert probe.observation_space.contains(seen[0])


@every_probe
def test_wrong_actions_and_steps_outside_an_episode_are_refused(make: Callable[[], Probe]) -> None:
    probe = make()
    with pytest.raises(gymnasium.error.ResetNeeded):
        probe.step(probe.action_space.sample())
    probe.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction, match="lies outside the action space"):
        probe.step(np.full(9, 9.0))


def test_a_step_after_the_end_is_refused() -> None:
    probe = probes.ConstantRewardProbe()
    probe.reset(seed=0)
    probe.step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        probe.step(0)


def test_action_spaces_of_the_kinds() -> None:
    box = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    assert probes.action_space_of("discrete") == gymnasium.spaces.Discrete(2)
    assert probes.action_space_of("continuous") == box
    assert probes.action_space_of("mixed") == gymnasium.spaces.Dict(
        {"choice": gymnasium.spaces.Discrete(2), "amount": box}
    )
    assert probes.action_space_of("nested") == gymnasium.spaces.Tuple(
        (
            gymnasium.spaces.MultiDiscrete([3, 2]),
            gymnasium.spaces.MultiBinary(2),
            gymnasium.spaces.Dict({"amount": box}),
        )
    )


def test_all_names_exist_and_every_probe_is_listed() -> None:
    assert all(hasattr(probes, name) for name in probes.__all__)
    made = {type(make()).__name__ for make in ALL.values()}
    assert made == {name for name in probes.__all__ if name.endswith("Probe")} - {"Probe"}
