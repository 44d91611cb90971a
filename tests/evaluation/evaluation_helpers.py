"""An environment of two lengths and a policy, for the tests of evaluation."""

import dataclasses
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from triax.evaluation import EvaluationConfig, Evaluator
from triax.random import KeyArray
from triax.spaces import SpaceSpec, space_spec
from triax.trees import Tree
from triax.types import ActionMode, Policy, PolicyOutput

LONG = 100


class TwoLengths(gymnasium.Env[Any, Any]):
    """Episodes of 1 or 100 steps, at even odds; the reward is 1.1 a step, so the mean return is 55.55.

    The observation is (steps made, the last action); the info of the final step says "success" for long episodes.
    """

    observation_space = gymnasium.spaces.Box(-1.0, 2000.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(5)
    made: "list[TwoLengths]" = []  # noqa: RUF012

    def __init__(self) -> None:
        self.actions: list[int] = []
        self.seeds: list[int | None] = []
        self.closed = 0
        TwoLengths.made.append(self)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.steps = 0
        self.length = LONG if self.np_random.integers(2) else 1
        return np.array([0, -1], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.actions.append(int(action))
        ends = self.steps == self.length
        info = {"success": self.length == LONG} if ends else {}
        return np.array([self.steps, action], np.float32), 1.1, ends, False, info

    def close(self) -> None:
        self.closed += 1


@dataclasses.dataclass(kw_only=True)
class FivePolicy:
    """Five choices: at random, or the number in the parameters. The carry counts the steps of the episode."""

    traces: list[tuple[ActionMode, tuple[int, ...]]] = dataclasses.field(default_factory=list)

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        return jnp.zeros(batch_shape, jnp.int32)

    def act(
        self,
        *,
        parameters: Tree,
        carry: Tree,
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        self.traces.append((mode, is_first.shape))
        steps = jnp.where(is_first, 0, carry) + 1
        if mode is ActionMode.SAMPLE:
            action = jax.random.randint(key, is_first.shape, 0, 5, jnp.int32)
        else:
            action = ((parameters + steps) % 5).astype(jnp.int32)
        return PolicyOutput(action=action, carry=steps, extras={})


def two_lengths_specs() -> tuple[SpaceSpec, SpaceSpec]:
    return (
        space_spec(space=TwoLengths.observation_space, role="observation"),
        space_spec(space=TwoLengths.action_space, role="action"),
    )


def evaluator_of(*, config: EvaluationConfig, policy: Policy | None = None, make: Any = TwoLengths) -> Evaluator:
    environment = make()
    observation_spec = space_spec(space=environment.observation_space, role="observation")
    action_spec = space_spec(space=environment.action_space, role="action")
    environment.close()
    TwoLengths.made.clear()
    return Evaluator(
        make=make,
        policy=policy or FivePolicy(),
        observation_spec=observation_spec,
        action_spec=action_spec,
        config=config,
    )
