"""Heads for actions whose parts hang together: parameters that a choice uses, masks, choices among a set's elements."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from triax.networks.actions import ActionCode
from triax.networks.choices import EnumeratedChoices, FactoredChoices
from triax.networks.distributions import Distribution
from triax.networks.heads import ActionHead, ActionHeadConfig, bounded_log_std
from triax.networks.mlp import kernel_initialiser
from triax.spaces import BoxLeaf, ChoiceTable, ElementsOf, SpaceSpec, UnsupportedSpace, choice_table
from triax.trees import Tree


@runtime_checkable
class Head(Protocol):
    """From features, and what the observation says of choices, to a distribution over actions."""

    def __call__(
        self, features: Float[Array, "*batch inputs"], observation: Tree, elements: Mapping[str, Array]
    ) -> Distribution:
        """Make the distribution.

        :param features: [..., inputs].
        :param observation: inside form, which masks and sets are read from.
        :param elements: embeddings of observed sets' elements by the sets' paths, [..., maximum, size].
        :return: a distribution over actions with leading axes [...].
        """


def build_head(
    *,
    config: ActionHeadConfig,
    spec: SpaceSpec,
    observation_spec: SpaceSpec,
    inputs: int,
    element_sizes: Mapping[str, int],
    candidates: bool,
    rngs: nnx.Rngs,
) -> Head:
    """Build the head that suits an action.

    :param config: what can be set.
    :param spec: of the action, with its relations.
    :param observation_spec: of the observation.
    :param inputs: the number of features.
    :param element_sizes: sizes of the elements' embeddings by the sets' paths.
    :param candidates: whether the distribution has to give candidates, for expectations over choices.
    :param rngs: randomness for the weights.
    :return: the head; of independent parts where the action is only continuous or only discrete, without relations,
        and no candidates are asked for.
    """
    continuous = [isinstance(leaf, BoxLeaf) for leaf in spec.leaves()]
    mixed = any(continuous) and not all(continuous)
    if not candidates and not mixed and not spec.relations:
        return ActionHead(config=config, spec=spec, inputs=inputs, rngs=rngs)
    code = ActionCode(spec=spec, observation_spec=observation_spec)
    table = choice_table(spec=spec, limit=config.listed_choices)
    if table is not None:
        return EnumeratedHead(
            config=config, code=code, table=table, inputs=inputs, element_sizes=element_sizes, rngs=rngs
        )
    return FactoredHead(config=config, code=code, inputs=inputs, rngs=rngs)


class EnumeratedHead(nnx.Module):
    """Logits of all joint choices, and the Gaussians of each one's parameters.

    Joint choices that differ only in which element of a set is chosen share their weights: what distinguishes them
    comes from the element's embedding, through a hidden layer that sees the features too.
    """

    def __init__(
        self,
        *,
        config: ActionHeadConfig,
        code: ActionCode,
        table: ChoiceTable,
        inputs: int,
        element_sizes: Mapping[str, int],
        rngs: nnx.Rngs,
    ) -> None:
        self.config, self.code, self.table = config, code, table
        pointers = _pointers(code=code, table=table, element_sizes=element_sizes)
        self.pointers = tuple(pointers.items())
        others = [index for index in range(len(table.components)) if index not in pointers]
        groups = sorted({tuple(row) for row in table.options[:, others].tolist()})
        self.group = tuple(groups.index(tuple(row)) for row in table.options[:, others].tolist())
        # Nothing to choose and no parameters: a logit that changes nothing, since there are no layers without outputs.
        self.has_logits = len(table) > 1 or code.parameters == 0
        self.free_spread = not config.state_dependent_std
        self.outputs = int(self.has_logits) + code.parameters * (1 if self.free_spread else 2)
        initialiser = kernel_initialiser(name=config.initialisation, scale=config.scale)
        self.linear = nnx.Linear(inputs, len(groups) * self.outputs, kernel_init=initialiser, rngs=rngs)
        # One linear layer of features and embedding, as a sum: the features' part is the same for all elements.
        self.feature_hidden = nnx.List(nnx.Linear(inputs, inputs, rngs=rngs) for _ in self.pointers)
        self.element_hidden = nnx.List(
            nnx.Linear(element_sizes[path], inputs, use_bias=False, rngs=rngs) for _, path in self.pointers
        )
        self.element_outputs = nnx.List(
            nnx.Linear(inputs, self.outputs, kernel_init=initialiser, rngs=rngs) for _ in self.pointers
        )
        if self.free_spread and code.parameters > 0:
            self.free_log_std = nnx.Param(jnp.zeros((code.parameters,), jnp.float32))

    def __call__(
        self, features: Float[Array, "*batch inputs"], observation: Tree, elements: Mapping[str, Array]
    ) -> EnumeratedChoices:
        """Make the distribution; see :class:`Head`."""
        batch = features.shape[:-1]
        values = _repeated(jnp.reshape(self.linear(features), (*batch, -1, self.outputs)), np.array(self.group))
        for place, (component, path) in enumerate(self.pointers):
            from_features = self.feature_hidden[place](features)[..., None, :]
            hidden = jax.nn.relu(from_features + self.element_hidden[place](elements[path]))
            chosen = _repeated(self.element_outputs[place](hidden), self.table.options[:, component])
            values = values + self.table.used[:, component, None] * chosen
        logits = values[..., 0] if self.has_logits else jnp.zeros((*batch, 1))
        allowed = self.code.allowed_rows(table=self.table, observation=observation)
        if allowed is not None:
            logits = jnp.where(allowed, logits, -jnp.inf)
        gaussians = values[..., int(self.has_logits) :]
        if not self.config.parameters_see_choice:
            gaussians = jnp.broadcast_to(gaussians[..., :1, :], gaussians.shape)
        mean = gaussians[..., : self.code.parameters]
        raw = gaussians[..., self.code.parameters :]
        if self.free_spread:
            raw = jnp.broadcast_to(self.free_log_std[...], mean.shape) if self.code.parameters > 0 else mean
        return EnumeratedChoices(
            log_probabilities=jax.nn.log_softmax(logits, axis=-1),
            mean=mean,
            log_std=bounded_log_std(raw=raw, config=self.config),
            code=self.code,
            table=self.table,
        )


def _repeated(
    rows: Float[Array, "*batch rows outputs"], places: Int[np.ndarray, " choices"]
) -> Float[Array, "*batch choices outputs"]:
    """Give each choice its row. A product, since the gradient of indexing is a loop over numbers on a CPU."""
    table = jax.nn.one_hot(places, rows.shape[-2], dtype=rows.dtype)
    return jnp.einsum("cr,...ro->...co", table, rows, precision=jax.lax.Precision.HIGHEST)


class FactoredHead(nnx.Module):
    """Logits of each component's options, and Gaussians whose means are shifted by what is chosen."""

    def __init__(self, *, config: ActionHeadConfig, code: ActionCode, inputs: int, rngs: nnx.Rngs) -> None:
        if any(isinstance(relation, ElementsOf) for relation in code.spec.relations):
            raise UnsupportedSpace(
                f"choices among the elements of a set are listed, and this action has more than "
                f"{config.listed_choices} joint choices; raise listed_choices in the head's config."
            )
        self.config, self.code = config, code
        self.outputs = (code.options, code.parameters, code.parameters if config.state_dependent_std else 0)
        initialiser = kernel_initialiser(name=config.initialisation, scale=config.scale)
        self.linear = nnx.Linear(inputs, sum(self.outputs), kernel_init=initialiser, rngs=rngs)
        if code.parameters > 0:
            self.mean_of_choices = nnx.Param(jnp.zeros((code.options, code.parameters), jnp.float32))
            if not config.state_dependent_std:
                self.free_log_std = nnx.Param(jnp.zeros((code.parameters,), jnp.float32))

    def __call__(
        self, features: Float[Array, "*batch inputs"], observation: Tree, elements: Mapping[str, Array]
    ) -> FactoredChoices:
        """Make the distribution; see :class:`Head`."""
        values = self.linear(features)
        flat, mean, raw = jnp.split(values, np.cumsum(self.outputs[:-1]), axis=-1)
        if self.code.parameters == 0:
            mean_of_choices, raw = jnp.zeros((self.code.options, 0)), mean
        else:
            mean_of_choices = self.mean_of_choices[...] * float(self.config.parameters_see_choice)
            if not self.config.state_dependent_std:
                raw = jnp.broadcast_to(self.free_log_std[...], mean.shape)
        return FactoredChoices(
            log_probabilities=jax.nn.log_softmax(self._padded(flat, observation), axis=-1),
            mean=mean,
            log_std=bounded_log_std(raw=raw, config=self.config),
            mean_of_choices=mean_of_choices,
            samples=self.config.sampled_choices,
            code=self.code,
        )

    def _padded(self, flat: Float[Array, "*batch options"], observation: Tree) -> Float[Array, "*batch components n"]:
        """Put each component's logits in a row of its own; −inf where an option is not there, or not allowed."""
        largest, start, rows = max(self.code.sizes), 0, []
        for size, allowed in zip(self.code.sizes, self.code.allowed(observation=observation), strict=True):
            logits = flat[..., start : start + size]
            if allowed is not None:
                logits = jnp.where(allowed | ~jnp.any(allowed, axis=-1, keepdims=True), logits, -jnp.inf)
            padding = [(0, 0)] * (logits.ndim - 1) + [(0, largest - size)]
            rows.append(jnp.pad(logits, padding, constant_values=-jnp.inf))
            start += size
        return jnp.stack(rows, axis=-2)


def _pointers(*, code: ActionCode, table: ChoiceTable, element_sizes: Mapping[str, int]) -> dict[int, str]:
    """Find the components that choose among elements, with the paths of their sets."""
    pointers = {}
    for relation in code.spec.relations:
        if isinstance(relation, ElementsOf):
            if relation.elements not in element_sizes:
                raise UnsupportedSpace(
                    f"{relation}: the encoder gives no embeddings of the elements of {relation.elements!r}; use "
                    "EncoderConfig, or give your encoder a method encode that returns an Encoding with them."
                )
            (component,) = (index for index, found in enumerate(table.components) if found.path == relation.choice)
            pointers[component] = relation.elements
    return pointers
