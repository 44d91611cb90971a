"""NNX modules as pure functions: the structure is split off once, the weights travel as a plain tree of arrays."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from flax import nnx

from triax.random import KeyArray
from triax.trees import Tree

ModuleT = TypeVar("ModuleT", bound=nnx.Module)


class FunctionalNetwork(Generic[ModuleT]):
    """The static side of a network: how it is initialised, and its structure.

    :param make: builds the module from randomness; called with tracers too.
    :raises ValueError: if the module holds variables other than parameters (batch statistics, dropout's counters).
    """

    def __init__(self, *, make: Callable[[nnx.Rngs], ModuleT]) -> None:
        self._make = make
        abstract = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
        self._graph: Any
        self._graph, *states = nnx.split(abstract, nnx.Param, ...)
        rest = states[-1]
        if nnx.to_flat_state(rest):
            names = ", ".join(sorted(".".join(map(str, path)) for path, _ in nnx.to_flat_state(rest)))
            raise ValueError(
                f"the network holds variables that are not parameters ({names}). Learners keep parameters only; take "
                "layers without batch statistics and dropout, layer normalisation for one."
            )

    def initial_parameters(self, *, key: KeyArray) -> Tree:
        """Make the weights. Can be mapped over keys with ``vmap``.

        :param key: randomness.
        :return: nested dicts of arrays.
        """
        _, parameters = nnx.split(self._make(nnx.Rngs(key)))
        return nnx.to_pure_dict(parameters)

    def bind(self, *, parameters: Tree) -> ModuleT:
        """Join structure and weights, to be called at once and thrown away.

        :param parameters: as from :meth:`initial_parameters`.
        :return: the module.
        """
        return cast(ModuleT, nnx.merge(self._graph, cast(Any, parameters)))
