"""Actions as numbers: one-hot choices and continuous parameters, with what means nothing set to 0."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from triax.spaces import (
    BoxLeaf,
    ChoiceTable,
    DiscreteLeaf,
    ElementsOf,
    Part,
    SetLeaf,
    SpaceSpec,
    allowed_options,
    component_sizes,
    conditions,
    deciding_first,
)
from triax.trees import Tree
from triax.types import AnyArray


class ActionCode:
    """How an action is written as numbers.

    *Choices* are one-hot vectors, component after component in the order of the leaves (a bit is a choice of two);
    *parameters* are the numbers of all Boxes. A component that another choice makes meaningless
    (:class:`triax.spaces.UsedBy`) is all zeros. All of it is arithmetic, so that choices may be any weights of options
    and gradients flow through.

    :param spec: of the action, with its relations.
    :param observation_spec: of the observation, which masks and sets are parts of.
    """

    def __init__(self, *, spec: SpaceSpec, observation_spec: SpaceSpec) -> None:
        self.spec = spec
        self.observation_spec = observation_spec
        components = component_sizes(spec=spec)
        self.sizes = tuple(components.values())
        """Options of each discrete component."""
        self._components = tuple(components)
        self._conditions = conditions(spec)
        self._parameters = tuple(
            (path, component)
            for path, leaf in zip(spec.paths(), spec.leaves(), strict=True)
            if isinstance(leaf, BoxLeaf)
            for component in range(math.prod(leaf.shape))
        )
        self.options = sum(self.sizes)
        """Length of the one-hot vectors together."""
        self.parameters = len(self._parameters)
        """The number of continuous parameters."""
        self._starts = [0, *np.cumsum(self.sizes).tolist()]
        self._elements: dict[int, str] = {
            self._components.index((relation.choice, 0)): relation.elements
            for relation in spec.relations
            if isinstance(relation, ElementsOf)
        }
        self.size = self.parameters + sum(
            self._element_size(index) if index in self._elements else size for index, size in enumerate(self.sizes)
        )
        """Length of :meth:`features`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActionCode) and (self.spec, self.observation_spec) == (
            other.spec,
            other.observation_spec,
        )

    def __hash__(self) -> int:
        return hash((self.spec, self.observation_spec))

    def choices(self, *, action: Tree) -> Float[Array, "*batch options"]:
        """Write the choices of an action.

        :param action: inside form, leaves [..., *leaf shape].
        :return: one-hot vectors, [..., options].
        """
        vectors: list[Array] = []
        batch: tuple[int, ...] = ()
        for leaf, part in zip(self.spec.leaves(), self.spec.parts(action), strict=True):
            batch = jnp.shape(part)[: jnp.ndim(part) - len(leaf.shape)]
            if isinstance(leaf, BoxLeaf):
                continue
            sizes = leaf.sizes if isinstance(leaf, DiscreteLeaf) else (2,) * math.prod(leaf.shape)
            flat = jnp.reshape(jnp.asarray(part), (*batch, len(sizes)))
            vectors += [jax.nn.one_hot(flat[..., index], size) for index, size in enumerate(sizes)]
        if not vectors:
            return jnp.zeros((*batch, 0), jnp.float32)
        return self.used_choices(choices=jnp.concatenate(vectors, axis=-1))

    def continuous(self, *, action: Tree, choices: Float[Array, "*batch options"]) -> Float[Array, "*batch parameters"]:
        """Take the continuous parameters of an action that its choices use.

        :param action: inside form, leaves [..., *leaf shape].
        :param choices: of the action, [..., options].
        :return: [..., parameters]; 0 where they are not used.
        """
        batch = jnp.shape(choices)[:-1]
        flat = [
            jnp.reshape(jnp.asarray(part), (*batch, math.prod(leaf.shape)))
            for leaf, part in zip(self.spec.leaves(), self.spec.parts(action), strict=True)
            if isinstance(leaf, BoxLeaf)
        ]
        if not flat:
            return jnp.zeros((*batch, 0), jnp.float32)
        return jnp.concatenate(flat, axis=-1) * self.use(choices=choices)

    def use(self, *, choices: Float[Array, "*batch options"]) -> Float[Array, "*#batch parameters"]:
        """Say which continuous parameters mean something.

        :param choices: [..., options].
        :return: 1 or 0, [..., parameters]; without leading axes' sizes where that does not depend on the choices.
        """
        columns = [self._used(choices, path, component) for path, component in self._parameters]
        if all(column is None for column in columns):
            return jnp.ones((*(1 for _ in jnp.shape(choices)[:-1]), self.parameters))
        one = jnp.ones(jnp.shape(choices)[:-1])
        return jnp.stack([one if column is None else column for column in columns], axis=-1)

    def used_choices(self, *, choices: Float[Array, "*batch options"]) -> Float[Array, "*batch options"]:
        """Set the choices to 0 that other ones make meaningless.

        :param choices: [..., options].
        :return: [..., options].
        """
        parts = []
        for index, (path, component) in enumerate(self._components):
            part = choices[..., self._starts[index] : self._starts[index + 1]]
            used = self._used(choices, path, component)
            parts.append(part if used is None else part * used[..., None])
        return jnp.concatenate(parts, axis=-1) if parts else choices

    def chosen_options(self, *, choices: Float[Array, "*batch options"]) -> Int[Array, "*batch components"]:
        """Read which option each discrete component takes.

        :param choices: one-hot vectors, and zeros where they mean nothing, [..., options].
        :return: [..., components]; 0 where a component means nothing.
        """
        ends = zip(self._starts[:-1], self._starts[1:], strict=True)
        chosen = [jnp.argmax(choices[..., start:end], axis=-1) for start, end in ends]
        return jnp.stack(chosen, axis=-1) if chosen else jnp.zeros((*choices.shape[:-1], 0), jnp.int32)

    def without_unused(self, *, action: Tree) -> Tree:
        """Set what the choices do not use to 0, as it is in a policy's own actions.

        :param action: inside form, leaves [..., *leaf shape].
        :return: the same form.
        """
        choices = self.choices(action=action)
        return self.join(
            options=self.chosen_options(choices=choices), parameters=self.continuous(action=action, choices=choices)
        )

    def features(
        self,
        *,
        choices: Float[Array, "*batch options"],
        parameters: Float[Array, "*batch parameters"],
        observation: Tree,
    ) -> Float[Array, "*batch size"]:
        """Write what a critic sees of an action. In the place of an element's number stand the element's own numbers.

        :param choices: [..., options]; may have more axes after the observation's.
        :param parameters: [..., parameters].
        :param observation: inside form.
        :return: [..., size].
        """
        parts = []
        for index in range(len(self.sizes)):
            part = choices[..., self._starts[index] : self._starts[index + 1]]
            if index in self._elements:
                elements = jnp.asarray(self.observation_spec.part(observation, path=self._elements[index]))[..., :-1]
                further = part.ndim - elements.ndim + 1
                elements = jnp.reshape(elements, (*elements.shape[:-2], *(1,) * further, *elements.shape[-2:]))
                part = jnp.sum(part[..., None] * elements, axis=-2)
            parts.append(part)
        return jnp.concatenate([*parts, parameters], axis=-1) if parts else parameters

    def allowed(self, *, observation: Tree) -> list[Array | None]:
        """Read what the observation allows.

        :param observation: inside form, leaves [..., *leaf shape].
        :return: for each discrete component booleans [..., size]; None where everything is allowed always.
        """
        found = allowed_options(spec=self.spec, observation_spec=self.observation_spec, observation=observation)
        return [jnp.asarray(found[component]) if component in found else None for component in self._components]

    def allowed_rows(self, *, table: ChoiceTable, observation: Tree) -> Array | None:
        """Read which joint choices the observation allows.

        :param table: of the action's joint choices.
        :param observation: inside form, leaves [..., *leaf shape].
        :return: booleans [..., K], all true where nothing would be allowed (the end of an episode); None where
            everything is allowed always.
        """
        rows: Array | None = None
        for index, allowed in enumerate(self.allowed(observation=observation)):
            if allowed is not None:
                column = allowed[..., table.options[:, index]] | ~table.used[:, index]
                rows = column if rows is None else rows & column
        return None if rows is None else rows | ~jnp.any(rows, axis=-1, keepdims=True)

    def table_choices(self, *, table: ChoiceTable) -> Float[Array, "K options"]:
        """Write all joint choices.

        :param table: the joint choices.
        :return: one-hot vectors, [K, options].
        """
        vectors = [
            jax.nn.one_hot(table.options[:, index], size) * table.used[:, index, None]
            for index, size in enumerate(self.sizes)
        ]
        return jnp.concatenate(vectors, axis=-1) if vectors else jnp.zeros((len(table), 0))

    def join(self, *, options: AnyArray, parameters: Float[Array, "*batch parameters"]) -> Tree:
        """Put an action together.

        :param options: of each discrete component, [..., components].
        :param parameters: [..., parameters].
        :return: inside form, leaves [..., *leaf shape].
        """
        batch = parameters.shape[:-1]
        parts: list[Any] = []
        start, component = 0, 0
        for leaf in self.spec.leaves():
            size = math.prod(leaf.shape)
            if isinstance(leaf, BoxLeaf):
                parts.append(jnp.reshape(parameters[..., start : start + size], (*batch, *leaf.shape)))
                start += size
            else:
                chosen = jnp.asarray(options)[..., component : component + size]
                parts.append(jnp.reshape(chosen, (*batch, *leaf.shape)).astype(leaf.dtype))
                component += size
        iterator = iter(parts)
        return self.spec.map_leaves(lambda _: next(iterator))

    def _element_size(self, index: int) -> int:
        leaf = self.observation_spec.leaf(self._elements[index])
        assert isinstance(leaf, SetLeaf)
        return leaf.shape[1] - 1

    def _used(self, choices: Float[Array, "*batch options"], path: str, component: int) -> Array | None:
        """Say whether a component means something: 1, 0, or between for weights of options; None: always."""
        used: Array | None = None
        for decider, options in self._conditions.get((path, component), {}).items():
            places = self._starts[self._components.index(decider)] + np.array(sorted(options))
            share = jnp.sum(choices[..., places], axis=-1)
            used = share if used is None else used * share
        return used


def highest_choice_entropy(*, spec: SpaceSpec, possible: Mapping[Part, Bool[AnyArray, "*batch n"]]) -> Array:
    """Compute the entropy of the choices of a policy that makes all joint choices alike.

    log N, where N counts the joint choices: one option of a choice stands for as many as there are of what it uses. A
    choice over which several others decide together is left out; the true value is larger then.

    :param spec: of the action, with its relations.
    :param possible: of each discrete component, which options there are.
    :return: nats, [...].
    """
    conditional = conditions(spec)
    below: dict[Part, list[tuple[frozenset[int], Array]]] = {part: [] for part in possible}
    highest = jnp.zeros(())
    for part in reversed(deciding_first(spec=spec)):
        numbers = jnp.log(jnp.asarray(possible[part], jnp.float32))
        for options, value in below[part]:
            uses = np.isin(np.arange(numbers.shape[-1]), list(options))
            numbers = numbers + jnp.where(uses, value[..., None], 0.0)
        value = jax.nn.logsumexp(numbers, axis=-1)
        if part not in conditional:
            highest = highest + value
        else:
            *above, (decider, options) = conditional[part].items()
            if dict(above) == conditional.get(decider, {}):
                below[decider].append((options, value))
    return highest
