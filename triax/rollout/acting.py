"""Acting: a policy, compiled once for each mode and shared by rollout and evaluation; and uniform random actions.

Everything that a step needs beside the policy's own work is inside the one compiled call: the key's derivation from a
base key and a counter, the selection of what is brought back. The carry stays on the device.
"""

import functools
import time
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt32

from triax.compilation import Compiled
from triax.processor import usable_cores
from triax.random import KeyArray, Name, derive_generator, key_from_data
from triax.spaces import BinaryLeaf, BoxLeaf, DiscreteLeaf, Leaf, SpaceSpec, conditions
from triax.trees import Tree, tree_map
from triax.types import ActionMode, Policy, PolicyOutput

AWAKE_SECONDS = 0.0002
"""For how long to wait for actions without going to sleep; waking up takes longer than a small policy needs to act."""

NOTHING_MASKED: Mapping[tuple[str, int], Any] = types.MappingProxyType({})


@jax.jit
def on_device(parameters: Tree) -> Tree:
    """Bring parameters to the device in one compiled call; ``jax.device_put`` takes one for each leaf.

    :param parameters: arrays.
    :return: copies on the device.
    """
    return tree_map(jnp.copy, parameters)


class CompiledPolicy:
    """A policy as one compiled call a step, for a fixed number of environments."""

    def __init__(
        self, *, policy: Policy, count: int, action_spec: SpaceSpec, extras_spec: Mapping[str, SpaceSpec] | None = None
    ) -> None:
        """Prepare; each mode is compiled when it is first used.

        :param policy: the policy.
        :param count: how many environments it acts for, B.
        :param action_spec: the spec of the actions; the policy's output is checked against it when it is compiled.
        :param extras_spec: what the caller wants beside the action, likewise; other extras are not computed.
        """
        self._policy = policy
        self._count = count
        self._action_spec = action_spec
        self._extras_spec = extras_spec or {}
        self._compiled: dict[ActionMode, Callable[..., tuple[Tree, Tree, Tree]]] = {}
        self._key: KeyArray | None = None
        self._key_data: jax.Array | None = None

    def initial_carry(self) -> Tree:
        """Make the memory with which acting begins.

        :return: arrays on the device, [B, ...].
        """
        return self.place(self._policy.initial_carry(batch_shape=(self._count,)))

    def place(self, carry: Tree) -> Tree:
        """Put a memory on the device, in the form in which the compiled call returns it: nothing is compiled twice.

        :param carry: arrays, [B, ...].
        :return: arrays on the device.
        """
        return tree_map(_strongly_typed_copy, carry)

    def act(
        self,
        *,
        parameters: Tree,
        carry: Tree,
        observation: Tree,
        is_first: Bool[np.ndarray, " B"],
        key: KeyArray,
        counter: int,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Choose actions.

        :param parameters: the learner's ``policy_parameters``.
        :param carry: the memory.
        :param observation: inside form, [B, ...]; must not be written to afterwards.
        :param is_first: whether the observation is the first of an episode; must not be written to afterwards.
        :param key: the base key.
        :param counter: the number of the call, below 2³²; each gives other randomness.
        :param mode: SAMPLE or MODE.
        :return: actions and extras as NumPy arrays (read-only), the new memory on the device.
        :raises ValueError: if the policy's actions or extras are not as their specs say.
        """
        act = self._compiled.get(mode)
        if act is None:
            act = self._compiled[mode] = Compiled(functools.partial(self._traced, mode=mode))
        if key is not self._key:
            self._key, self._key_data = key, jax.random.key_data(key)
        action, new_carry, extras = act(parameters, carry, observation, is_first, self._key_data, np.uint32(counter))
        wait_awake(jax.tree.leaves(action)[0].is_ready)
        return PolicyOutput(action=_on_host(action), carry=new_carry, extras=_on_host(extras) if extras else {})

    def _traced(
        self,
        parameters: Tree,
        carry: Tree,
        observation: Tree,
        is_first: Bool[Array, " B"],
        key_data: UInt32[Array, " words"],
        counter: UInt32[Array, ""],
        *,
        mode: ActionMode,
    ) -> tuple[Tree, Tree, Tree]:
        # In plain arrays and tuples: typed keys and dataclasses cost some microseconds each at the border.
        assert self._key is not None
        key = key_from_data(data=key_data, like=self._key)
        output = self._policy.act(
            parameters=parameters,
            carry=carry,
            observation=observation,
            is_first=is_first,
            key=jax.random.fold_in(key, counter),
            mode=mode,
        )
        self._check(what="action", value=output.action, spec=self._action_spec)
        missing = [name for name in self._extras_spec if name not in output.extras]
        if missing:
            raise ValueError(f"the policy gives no extras named {', '.join(missing)}, which its learner asks for.")
        extras = {name: output.extras[name] for name in self._extras_spec}
        for name, spec in self._extras_spec.items():
            self._check(what=f"extra {name!r}", value=extras[name], spec=spec)
        return output.action, tree_map(_strongly_typed, output.carry), extras

    def _check(self, *, what: str, value: Tree, spec: SpaceSpec) -> None:
        expected = spec.map_leaves(lambda leaf: f"{leaf.dtype}{(self._count, *leaf.shape)}")
        found = jax.tree.map(lambda leaf: f"{leaf.dtype}{leaf.shape}", value)
        if expected != found:
            raise ValueError(f"the policy's {what} must be {expected}, and it is {found}.")


def wait_awake(is_ready: Callable[[], bool]) -> None:
    """Wait for what is being computed without going to sleep, for :data:`AWAKE_SECONDS` at most.

    With one core alone it does not wait: whoever computes could not go on until this ends.

    :param is_ready: says whether it is computed.
    """
    if usable_cores() > 1:
        deadline = time.perf_counter() + AWAKE_SECONDS
        while not is_ready() and time.perf_counter() < deadline:
            pass


def random_actions(
    *,
    spec: SpaceSpec,
    count: int,
    seed: int,
    name: tuple[Name, ...],
    allowed: Mapping[tuple[str, int], Bool[np.ndarray, "B options"]] = NOTHING_MASKED,
) -> Tree:
    """Draw uniformly distributed actions; what the choices leave unused is 0.

    :param spec: the actions' spec.
    :param count: how many, B.
    :param seed: a seed.
    :param name: which draw this is; the same one gives the same actions.
    :param allowed: what the observations allow, of components that are masked; see
        :func:`triax.spaces.allowed_options`.
    :return: inside form, [B, ...].
    """
    generator = derive_generator(seed=seed, name=name)

    def draw(leaf: Leaf) -> np.ndarray:
        shape = (count, *leaf.shape)
        match leaf:
            case BoxLeaf():
                return generator.uniform(-1.0, 1.0, shape).astype(leaf.dtype)
            case DiscreteLeaf():
                return generator.integers(np.reshape(leaf.sizes, leaf.shape), size=shape).astype(leaf.dtype)
            case BinaryLeaf():
                return generator.integers(2, size=shape).astype(leaf.dtype)
        raise TypeError(f"{type(leaf).__name__} is no leaf of an action.")

    actions = spec.map_leaves(draw)

    def numbers(path: str) -> np.ndarray:
        # A view: what is written there is written into the actions.
        part: np.ndarray = spec.part(actions, path=path)
        return part.reshape(count, -1)

    for (path, component), options in allowed.items():
        numbers(path)[:, component] = _drawn(options, generator)
    for (path, component), needed in conditions(spec).items():
        for (choice, place), options_of_choice in needed.items():
            unused = ~np.isin(numbers(choice)[:, place], list(options_of_choice))
            numbers(path)[unused, component] = 0
    return actions


def _drawn(options: Bool[np.ndarray, "B options"], generator: np.random.Generator) -> Int[np.ndarray, " B"]:
    """Draw one of the allowed options in each row; any, where none is allowed."""
    options = options | ~options.any(axis=-1, keepdims=True)
    place = np.floor(generator.random(len(options)) * options.sum(axis=-1))
    chosen: np.ndarray = np.argmax(np.cumsum(options, axis=-1) > place[:, np.newaxis], axis=-1)
    return chosen


def _on_host(tree: Tree) -> Tree:
    return np.asarray(tree) if isinstance(tree, jax.Array) else tree_map(np.asarray, tree)


def _strongly_typed(leaf: Any) -> Any:
    # A weak type (a Python number's) that becomes a strong one on the way round would compile the call a second time.
    return jnp.asarray(leaf, dtype=jnp.asarray(leaf).dtype)


def _strongly_typed_copy(leaf: Any) -> Any:
    # A copy: the array given may be written to, or donated.
    return jnp.array(leaf, dtype=jnp.asarray(leaf).dtype, copy=True)
