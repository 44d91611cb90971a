"""Policies and environments for the tests of rollout."""

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from triax.random import KeyArray
from triax.rollout import Collector, EnvironmentBatch, EnvironmentStep
from triax.spaces import SpaceSpec, space_spec
from triax.trees import Tree
from triax.types import ActionMode, Policy, PolicyOutput

Make = Callable[[], "gymnasium.Env[Any, Any]"]

CHANCE_SPEC = {"chance": space_spec(space=gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32), role="observation")}


@dataclasses.dataclass(kw_only=True)
class FivePolicy:
    """Five choices at random (or always 2); the extra "chance" repeats the first two numbers of the observation."""

    traces: list[ActionMode] = dataclasses.field(default_factory=list)

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        return ()

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
        self.traces.append(mode)
        sampled = jax.random.randint(key, is_first.shape, 0, 5, jnp.int32)
        action = sampled if mode is ActionMode.SAMPLE else jnp.full(is_first.shape, 2, jnp.int32)
        return PolicyOutput(action=action, carry=carry, extras={"chance": observation[:, :2], "unwanted": sampled})


@dataclasses.dataclass(kw_only=True)
class RecurrentPolicy:
    """A random recurrent network, whose noise is correlated through its carry."""

    observations: int
    actions: int
    traces: list[ActionMode] = dataclasses.field(default_factory=list)

    def parameters(self) -> dict[str, Array]:
        keys = jax.random.split(jax.random.key(3), 3)
        return {
            "in": jax.random.normal(keys[0], (self.observations, 8)),
            "on": jax.random.normal(keys[1], (8, 8)),
            "out": jax.random.normal(keys[2], (8, self.actions)),
        }

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        # A weak type, here and as an output below, must not lead to a second compilation.
        return {
            "memory": jnp.broadcast_to(jnp.asarray(0.5), (*batch_shape, 8)),
            "steps": np.zeros(batch_shape, int),
            "weak": np.ones(batch_shape, np.float32),
        }

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
        self.traces.append(mode)
        memory = jnp.where(is_first[:, None], 0.5, carry["memory"])
        memory = jnp.tanh(observation @ parameters["in"] + memory @ parameters["on"])
        memory += 0.1 * jax.random.normal(key, memory.shape) * (mode is ActionMode.SAMPLE)
        steps = jnp.where(is_first, 0, carry["steps"]) + 1
        action = jnp.tanh(memory @ parameters["out"])
        carry = {"memory": memory, "steps": steps, "weak": jnp.broadcast_to(jnp.asarray(1.0), steps.shape)}
        return PolicyOutput(action=action, carry=carry, extras={"memory": memory})


MEMORY_SPEC = {"memory": space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (8,), np.float32), role="observation")}


def specs_of(make: Make) -> tuple[SpaceSpec, SpaceSpec]:
    environment = make()
    specs = (
        space_spec(space=environment.observation_space, role="observation"),
        space_spec(space=environment.action_space, role="action"),
    )
    environment.close()
    return specs


def batch_of(*, make: Make, count: int, seed: int = 0, first_environment: int = 0) -> EnvironmentBatch:
    observation_spec, action_spec = specs_of(make)
    return EnvironmentBatch(
        make=make,
        count=count,
        seed=seed,
        first_environment=first_environment,
        observation_spec=observation_spec,
        action_spec=action_spec,
    )


def collector_of(
    *,
    make: Make,
    count: int,
    policy: Policy,
    extras_spec: dict[str, SpaceSpec] | None = None,
    seed: int = 0,
    first_environment: int = 0,
) -> Collector:
    observation_spec, action_spec = specs_of(make)
    return Collector(
        environments=batch_of(make=make, count=count, seed=seed, first_environment=first_environment),
        policy=policy,
        observation_spec=observation_spec,
        action_spec=action_spec,
        extras_spec=extras_spec or {},
        seed=seed,
    )


def assert_same_bits(a: Tree, b: Tree) -> None:
    def check(x: Any, y: Any) -> None:
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())

    jax.tree.map(check, a, b)


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
