"""Masks wherever actions are chosen: uniform actions, collectors, evaluation and loaded agents."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from triax.evaluation import EvaluationConfig, Evaluator
from triax.learners.ppo import PPOConfig
from triax.random import derive_key
from triax.rollout import Collector, EnvironmentBatch, EnvironmentFailed
from triax.rollout.acting import random_actions
from triax.spaces import ElementOf, MaskOf, SetOf, UsedBy, allowed_options
from triax.training.agent import Agent
from triax.types import ActionMode, EnvironmentSpec

ELEMENT = spaces.Box(-1.0, 1.0, (2,))
EDITS = (
    UsedBy(parameter="which", choice="operation", options=(1,)),
    UsedBy(parameter="where", choice="operation", options=(1, 2)),
)


class Editing(gymnasium.Env[Any, Any]):
    """Wait, edit an element, or make one; the step's number says what there is. Notes what it was given."""

    observation_space = spaces.Dict(things=SetOf(ELEMENT, 4, minimum=0), mask=MaskOf("operation", 3))
    action_space = spaces.Dict(
        operation=spaces.Discrete(3), which=ElementOf("things", 4), where=spaces.Box(-1.0, 1.0, (1,))
    )

    def __init__(self, *, masks: tuple[tuple[int, int, int], ...], elements: int) -> None:
        self.masks, self.elements = masks, elements
        self.given: list[tuple[int, int, float]] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.given.append((int(action["operation"]), int(action["which"]), float(action["where"][0])))
        self.steps += 1
        return self.observation(), 1.0, self.steps == 8, False, {}

    def observation(self) -> Any:
        mask = self.masks[self.steps % len(self.masks)]
        return {"things": np.zeros((self.elements, 2), np.float32), "mask": np.array(mask, np.int8)}


SPEC = EnvironmentSpec.of_spaces(observation=Editing.observation_space, action=Editing.action_space, relations=EDITS)


def batch_of(environment: Editing) -> EnvironmentBatch:
    return EnvironmentBatch(
        make=lambda: environment,
        count=1,
        seed=0,
        first_environment=0,
        observation_spec=SPEC.observation,
        action_spec=SPEC.action,
    )


def uniform_actions(*, elements: int, mask: tuple[int, int, int]) -> Any:
    value = {"things": np.zeros((elements, 2), np.float32), "mask": np.array(mask, np.int8)}
    allowed = allowed_options(
        spec=SPEC.action,
        observation_spec=SPEC.observation,
        observation=SPEC.observation.stack_to_inside([value] * 3000),
    )
    return random_actions(spec=SPEC.action, count=3000, seed=0, name=("test",), allowed=allowed)


def test_uniform_actions_take_only_what_is_allowed_and_leave_the_unused_at_zero() -> None:
    drawn = uniform_actions(elements=2, mask=(1, 1, 0))
    operation, which, where = drawn["operation"], drawn["which"], drawn["where"][:, 0]
    assert np.mean(operation == 1) == pytest.approx(0.5, abs=0.05)
    assert not np.any(operation == 2)
    assert np.mean(which[operation == 1]) == pytest.approx(0.5, abs=0.05)
    assert which.max() == 1
    assert not which[operation == 0].any()
    assert not where[operation == 0].any()
    assert np.abs(where[operation == 1]).min() > 0.0


def test_uniform_actions_choose_nothing_that_uses_what_is_impossible() -> None:
    drawn = uniform_actions(elements=0, mask=(1, 1, 1))
    assert set(np.unique(drawn["operation"])) == {0, 2}


@pytest.mark.parametrize("mode", [ActionMode.RANDOM, ActionMode.SAMPLE])
def test_collected_actions_are_allowed(mode: ActionMode) -> None:
    environment = Editing(masks=((1, 1, 0), (0, 1, 1), (0, 0, 1)), elements=3)
    learner = PPOConfig().build(observation_spec=SPEC.observation, action_spec=SPEC.action)
    collector = Collector(
        environments=batch_of(environment),
        policy=learner.policy,
        observation_spec=SPEC.observation,
        action_spec=SPEC.action,
        extras_spec={},
        seed=0,
    )
    parameters = learner.policy_parameters(state=learner.initial_state(key=derive_key(seed=0, name=("test",))))
    collector.collect(parameters=parameters, policy_version=0, steps=200, mode=mode)
    collector.close()
    steps = np.arange(len(environment.given)) % 8
    for operation, which, where in np.array(environment.given):
        assert operation != 1 or which < 3
        assert operation == 1 or which == 0
        assert operation != 0 or where == 0.0
    operations = np.array(environment.given)[:, 0]
    allowed = np.array(environment.masks)[steps % 3]
    assert allowed[np.arange(len(operations)), operations.astype(int)].all()
    assert len(set(operations)) == 3


@pytest.mark.parametrize(
    ("masks", "elements"),
    [(((1, 1, 1), (0, 0, 0)), 1), (((0, 1, 0),), 0), (((0, 0, 0),), 2)],
)
def test_observations_that_allow_nothing_are_refused_in_rollout_and_evaluation(masks: Any, elements: int) -> None:
    message = "no option of the choice 'operation'.*environment 0.*episode 0"
    with pytest.raises(EnvironmentFailed, match=message):
        batch_of(Editing(masks=masks, elements=elements)).step(SPEC.action.zeros(batch_shape=(1,)))
    learner = PPOConfig().build(observation_spec=SPEC.observation, action_spec=SPEC.action)
    evaluator = Evaluator(
        make=lambda: Editing(masks=masks, elements=elements),
        policy=learner.policy,
        observation_spec=SPEC.observation,
        action_spec=SPEC.action,
        config=EvaluationConfig(interval=1, episodes=1, environments=1),
    )
    parameters = learner.policy_parameters(state=learner.initial_state(key=derive_key(seed=0, name=("test",))))
    with pytest.raises(EnvironmentFailed, match=message):
        evaluator.evaluate(parameters=parameters, evaluation_seed=0)


def test_an_agent_refuses_what_allows_nothing_and_a_batch_of_none() -> None:
    learner = PPOConfig().build(observation_spec=SPEC.observation, action_spec=SPEC.action)
    parameters = learner.policy_parameters(state=learner.initial_state(key=derive_key(seed=0, name=("test",))))
    agent = Agent(learner=learner, parameters=parameters, spec=SPEC)
    things = np.zeros((1, 2), np.float32)
    with pytest.raises(ValueError, match="no option of the choice 'operation'"):
        agent.act(observation={"things": things, "mask": np.zeros(3, np.int8)})
    with pytest.raises(ValueError, match="a batch of none"):
        agent.act(observation={"things": [], "mask": np.zeros((0, 3), np.int8)})
    action = agent.act(observation={"things": things, "mask": np.array([0, 1, 0], np.int8)})
    assert (action["operation"], action["which"]) == (1, 0)
