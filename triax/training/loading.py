"""Beginning with what another run has learned: parts of its policy, and the statistics that they were learned with."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from triax.training.agent import load_agent, resolved_checkpoint
from triax.trees import Tree, is_within, leaves_by_path, part_names, path_name

SHARED = ("actor/encoder", "actor/torso")
"""What policies of different tasks have in common."""

STATISTICS = "statistics"
"""Where a policy's parameters have the statistics of observations."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """Parts of a run's policy to begin with, whatever its learner. They go where they stood."""

    run: Path
    """The run directory."""
    checkpoint: Literal["last", "best"] | int = "last"
    """The newest, the one with the best evaluation, or the one of these steps."""
    parts: tuple[str, ...] | None = None
    """Paths among the policy's parameters, such as ``actor/torso``; None: the encoder and the hidden layers, that is
    all but the heads."""
    statistics: bool = True
    """Whether the run's statistics of observations come along. What was learned has seen observations as they scale
    them."""

    def pinned(self) -> "LoadConfig":
        """Name the checkpoint by its steps, so that what is stored says what was loaded."""
        return dataclasses.replace(self, checkpoint=resolved_checkpoint(run=self.run, checkpoint=self.checkpoint))


def loaded_parameters(*, config: LoadConfig, into: Tree) -> Tree:
    """Put a run's parts in the place of one's own.

    :param config: which parts of which run.
    :param into: the parameters of a policy.
    :return: these with the parts, NumPy arrays.
    :raises RunError: if there is no such run, or no such checkpoint in it.
    :raises ValueError: if a part is not there, or has other parameters or shapes.
    """
    source = load_agent(run_directory=config.run, checkpoint=config.checkpoint).parameters
    return with_parts(into=into, source=source, config=config)


def with_parts(*, into: Tree, source: Tree, config: LoadConfig) -> Tree:
    """Put parts of one policy's parameters in the place of another's.

    :param into: the parameters that are replaced in part.
    :param source: the parameters that the parts are taken from.
    :param config: which parts.
    :return: the new parameters.
    :raises ValueError: if a part is not there, or has other parameters or shapes.
    """
    here, there = leaves_by_path(into), leaves_by_path(source)
    named = _parts_of(config=config, paths=list(here))
    for part in named:
        _require_same(part=part, here=here, there=there, run=config.run)
    if config.statistics:
        _require_same_statistics(here=list(here), there=list(there), run=config.run)
        named = (*named, STATISTICS)

    def choose(path: str, leaf: Any) -> Any:
        return there[path] if any(is_within(path=path, part=part) for part in named) else leaf

    return jax.tree_util.tree_map_with_path(lambda path, leaf: choose(path_name(path), leaf), into)


def _parts_of(*, config: LoadConfig, paths: list[str]) -> tuple[str, ...]:
    if config.parts is not None:
        return config.parts
    # An encoder of plain vectors has no parameters.
    return tuple(part for part in SHARED if any(is_within(path=path, part=part) for path in paths))


def _require_same(*, part: str, here: dict[str, Any], there: dict[str, Any], run: Path) -> None:
    shapes = [
        {path: np.shape(leaf) for path, leaf in leaves.items() if is_within(path=path, part=part)}
        for leaves in (here, there)
    ]
    for found, leaves, where in zip(shapes, (here, there), ("this learner's policy", f"the run {run}"), strict=True):
        if not found:
            raise ValueError(
                f"LoadConfig.parts: {where} has no parameters under {part!r}; it has: {part_names(leaves)}."
            )
    for path in {**shapes[0], **shapes[1]}:
        own, other = (found.get(path) for found in shapes)
        if own != other:
            raise ValueError(
                f"LoadConfig.parts: {path} has the shape {own} here and {other} in the run {run} (None: it is not "
                "there); build this part of the network as the run did, and for the same observations."
            )


def _require_same_statistics(*, here: list[str], there: list[str], run: Path) -> None:
    own, other = ([path for path in paths if is_within(path=path, part=STATISTICS)] for paths in (here, there))
    if own != other:
        does, does_not = ("this learner", f"the run {run}") if own else (f"the run {run}", "this learner")
        raise ValueError(
            f"{does} normalises observations and {does_not} does not, so that what is loaded would see others than it "
            "learned from; set normalise_observations alike, or LoadConfig.statistics=False."
        )
