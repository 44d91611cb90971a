"""dm_control's environments as Gymnasium environments."""

import pickle
import sys

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from triax.environments import EnvironmentConfig, MissingDependency, dm_control_environment
from triax.spaces import space_spec

CARTPOLE = EnvironmentConfig(factory=dm_control_environment, arguments={"domain": "cartpole", "task": "balance"})


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*A Box observation space m.*:UserWarning")
def test_it_is_a_gymnasium_environment_with_spaces_that_learners_know() -> None:
    environment = pickle.loads(pickle.dumps(CARTPOLE)).make()
    assert isinstance(environment.observation_space, gymnasium.spaces.Box)
    assert environment.observation_space.shape == (5,)
    space_spec(space=environment.observation_space, role="observation")
    space_spec(space=environment.action_space, role="action")
    check_env(environment, skip_render_check=True)
    # A control step of 0.01 s.
    assert environment.metadata["render_fps"] == 100


def test_the_parts_of_the_observation_stand_one_after_the_other() -> None:
    parts = dm_control_environment(domain="walker", task="walk", flat=False)
    joined = dm_control_environment(domain="walker", task="walk")
    first, _ = parts.reset(seed=1)
    second, _ = joined.reset(seed=1)
    np.testing.assert_array_equal(np.concatenate([np.ravel(part) for _, part in sorted(first.items())]), second)


def test_it_follows_its_seed_and_is_truncated_after_a_thousand_steps() -> None:
    ends = []
    for _ in range(2):
        environment = CARTPOLE.make()
        environment.reset(seed=9)
        environment.reset(seed=4)
        environment.action_space.seed(0)
        steps, terminated, truncated = 0, False, False
        while not (terminated or truncated):
            observation, _, terminated, truncated, _ = environment.step(environment.action_space.sample())
            steps += 1
        assert (steps, terminated) == (1000, False)
        ends.append(observation)
    np.testing.assert_array_equal(ends[0], ends[1])


@pytest.mark.parametrize("domain", ["cartpole", "manipulator"])
def test_the_text_of_its_model_gives_its_model(domain: str) -> None:
    task = {"cartpole": "balance", "manipulator": "bring_ball"}[domain]
    environment = dm_control_environment(domain=domain, task=task)
    text, files = (environment.get_wrapper_attr(name) for name in ("model_text", "model_files"))
    compiled = mujoco.MjSpec.from_string(text, include=files).compile()
    model = environment.get_wrapper_attr("model")
    assert compiled.names == model.names
    np.testing.assert_array_equal(compiled.body_mass, model.body_mass)


def test_unknown_tasks_and_domains_are_named() -> None:
    with pytest.raises(ValueError, match=r"no task 'fly' of a domain 'walker'; the tasks of 'walker' are \[.*'walk'"):
        dm_control_environment(domain="walker", task="fly")
    with pytest.raises(ValueError, match=r"of a domain 'waker'; the domains are \['acrobot', .*'walker'"):
        dm_control_environment(domain="waker", task="walk")


def test_without_the_packages_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shimmy.dm_control_compatibility", None)
    with pytest.raises(MissingDependency, match=r"dm_control's cartpole balance needs.*'triax\[dm-control\]'"):
        CARTPOLE.make()
