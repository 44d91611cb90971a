"""Optimisers: Optax chains described by a small config, built here and nowhere else."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import jax
import optax
from jaxtyping import Array, Float

from triax.trees import Tree, is_within, part_names, path_name, tree_dataclass

GradientTransformation: TypeAlias = Any


REST = "(rest)"
"""The label of parameters that no part names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartConfig:
    """How one part of the parameters is optimised, apart from the rest."""

    path: str
    """Where it stands among the parameters: ``torso`` of SAC's actor and of cloning, ``0/torso`` of the first of SAC's
    critics, ``actor/torso`` where an algorithm keeps actor and critic together, as PPO does. Of a part and a part of
    it, the smaller one decides."""
    optimizer: "OptimizerConfig | None" = None
    """Its own optimiser; None: it is frozen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam (Kingma and Ba 2015), or AdamW with weight decay."""

    learning_rate: float = 3e-4
    """Initial step size."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate goes from its initial to its final value."""
    final_learning_rate: float = 0.0
    """Where linear and cosine schedules end."""
    schedule_updates: int = 0
    """After how many updates they end; required for them."""
    max_gradient_norm: float | None = None
    """The gradient's global norm is clipped to this; None: not clipped."""
    weight_decay: float = 0.0
    """Decoupled weight decay (Loshchilov and Hutter 2019)."""
    beta_1: float = 0.9
    """Decay of the gradient's running mean."""
    beta_2: float = 0.999
    """Decay of its running square."""
    epsilon: float = 1e-8
    """Added to the root of the running square."""
    parts: tuple[PartConfig, ...] = ()
    """Parts of the parameters that are frozen, or have an optimiser of their own, clipping and schedule included."""

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            (self.learning_rate > 0.0, "learning_rate", "must be above 0"),
            (self.final_learning_rate >= 0.0, "final_learning_rate", "must be at least 0"),
            (self.weight_decay >= 0.0, "weight_decay", "must be at least 0"),
            (0.0 <= self.beta_1 < 1.0, "beta_1", "must lie in [0, 1)"),
            (0.0 <= self.beta_2 < 1.0, "beta_2", "must lie in [0, 1)"),
            (self.epsilon > 0.0, "epsilon", "must be above 0"),
        )
        for holds, name, rule in checks:
            if not holds:
                raise ValueError(f"OptimizerConfig.{name}={getattr(self, name)!r} {rule}.")
        if self.schedule == "constant" and (self.final_learning_rate > 0.0 or self.schedule_updates > 0):
            raise ValueError(
                f"final_learning_rate={self.final_learning_rate} and schedule_updates={self.schedule_updates} have no "
                "effect with schedule='constant'; set the schedule, or leave them at 0."
            )
        if self.schedule != "constant" and self.schedule_updates < 1:
            raise ValueError(
                f"schedule={self.schedule!r} needs schedule_updates, the number of updates after which it ends; it is "
                f"{self.schedule_updates}."
            )
        if len({part.path for part in self.parts}) < len(self.parts) or not all(part.path for part in self.parts):
            raise ValueError(f"parts={[part.path for part in self.parts]} must have paths, each once.")
        if self.max_gradient_norm is not None and self.max_gradient_norm <= 0.0:
            raise ValueError(f"max_gradient_norm={self.max_gradient_norm} must be above 0, or None.")

    def build(self) -> GradientTransformation:
        """Build the Optax chain, or one for each part.

        :return: a gradient transformation.
        """
        if not self.parts:
            return self._chain()
        parts = {
            part.path: optax.set_to_zero() if part.optimizer is None else part.optimizer.build() for part in self.parts
        }
        return by_path(parts=parts, rest=self._chain())

    def _chain(self) -> GradientTransformation:
        clipping = () if self.max_gradient_norm is None else (optax.clip_by_global_norm(self.max_gradient_norm),)
        adam = optax.adamw(
            learning_rate=self._schedule(),
            b1=self.beta_1,
            b2=self.beta_2,
            eps=self.epsilon,
            weight_decay=self.weight_decay,
        )
        if self.weight_decay == 0.0:
            adam = optax.adam(learning_rate=self._schedule(), b1=self.beta_1, b2=self.beta_2, eps=self.epsilon)
        return optax.chain(*clipping, adam) if clipping else adam

    def _schedule(self) -> Any:
        if self.schedule == "linear":
            return optax.linear_schedule(self.learning_rate, self.final_learning_rate, self.schedule_updates)
        if self.schedule == "cosine":
            ratio = self.final_learning_rate / self.learning_rate
            return optax.cosine_decay_schedule(self.learning_rate, self.schedule_updates, alpha=ratio)
        return self.learning_rate


def by_part(*, optimizers: Mapping[str, GradientTransformation]) -> GradientTransformation:
    """Give each part of a tree dataclass an optimiser of its own.

    :param optimizers: by the names of the fields.
    :return: the Optax transformation of the whole.
    """

    def labels(parameters: Tree) -> Tree:
        return type(parameters)(
            **{name: jax.tree.map(lambda _, name=name: name, getattr(parameters, name)) for name in optimizers}
        )

    return optax.partition(dict(optimizers), labels)


def by_path(*, parts: Mapping[str, GradientTransformation], rest: GradientTransformation) -> GradientTransformation:
    """Give parts of a tree optimisers of their own.

    :param parts: by their paths.
    :param rest: for all other leaves.
    :return: the Optax transformation of the whole; its ``init`` raises ValueError if a part has no parameters.
    """

    def label(path: str) -> str:
        return max((part for part in parts if is_within(path=path, part=part)), key=len, default=REST)

    def labels(parameters: Tree) -> Tree:
        paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(parameters)]
        for part in parts:
            if not any(is_within(path=path, part=part) for path in paths):
                raise ValueError(
                    f"an optimiser's part has the path {part!r}, where there are no parameters; there are: "
                    f"{part_names(paths)}."
                )
        return jax.tree_util.tree_map_with_path(lambda path, _: label(path_name(path)), parameters)

    return optax.partition({**parts, REST: rest}, labels)


@tree_dataclass
class Trainable:
    """Parameters with their optimiser's state.

    :ivar parameters: a tree of arrays.
    :ivar optimizer_state: what Optax keeps for them.
    """

    parameters: Tree
    optimizer_state: Tree


def initial_trainable(*, parameters: Tree, optimizer: GradientTransformation) -> Trainable:
    """Begin optimising.

    :param parameters: a tree of arrays.
    :param optimizer: the Optax chain.
    :return: the parameters with a fresh optimiser state.
    """
    return Trainable(parameters=parameters, optimizer_state=optimizer.init(parameters))


def apply_gradients(
    *, trainable: Trainable, gradients: Tree, optimizer: GradientTransformation, **further: Array
) -> Trainable:
    """Make one step of an optimiser.

    :param trainable: parameters and optimiser state.
    :param gradients: structured as the parameters.
    :param optimizer: the Optax chain.
    :param further: what this optimiser asks for besides, by name.
    :return: the new parameters and state.
    """
    updates, optimizer_state = optimizer.update(gradients, trainable.optimizer_state, trainable.parameters, **further)
    parameters = optax.apply_updates(trainable.parameters, updates)
    return Trainable(parameters=parameters, optimizer_state=optimizer_state)


def moved_towards(*, target: Tree, online: Tree, rate: float | Float[Array, ""]) -> Tree:
    """Move target parameters a little towards the online ones: target ← (1 − rate)·target + rate·online.

    :param target: a tree of arrays.
    :param online: the same structure.
    :param rate: in [0, 1].
    :return: the new target parameters.
    """
    return jax.tree.map(lambda old, new: old + rate * (new - old), target, online)
