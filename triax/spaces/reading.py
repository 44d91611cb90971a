"""From Gymnasium's spaces to specs; what has no inside form is refused here."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces

from triax.spaces.declared import SetOf
from triax.spaces.leaves import (
    LARGEST_BOUND,
    BinaryLeaf,
    BoxLeaf,
    DiscreteLeaf,
    ImageLeaf,
    Leaf,
    LeafTree,
    SetLeaf,
    UnsupportedSpace,
)
from triax.spaces.spec import SpaceSpec

Role: TypeAlias = Literal["action", "observation"]

MOST_CHANNELS = 16
"""Images of more channels than this, and fewer rows, are probably meant the other way round."""

LARGEST_CHOICE = 2**31
"""The largest number of options of a choice: choices are int32 inside."""


def space_spec(*, space: "gymnasium.Space[Any]", role: Role) -> SpaceSpec:
    """Turn a Gymnasium space into a spec.

    :param space: the environment's action or observation space.
    :param role: which of the two it is.
    :return: the spec.
    :raises UnsupportedSpace: if the space or one of its leaves is not supported, with the leaf's path and the reason.
    """
    spec = SpaceSpec(tree=_leaf_tree(space=space, role=role, path="", whole=space))
    paths = spec.paths()
    for path in paths:
        if paths.count(path) > 1:
            raise UnsupportedSpace(
                f"unsupported {role} space {space}: two of its parts have the path {path!r}, keys joined by dots; "
                "rename a key that has a dot in it."
            )
    return spec


def _leaf_tree(*, space: "gymnasium.Space[Any]", role: Role, path: str, whole: "gymnasium.Space[Any]") -> LeafTree:
    def refuse(reason: str) -> UnsupportedSpace:
        where = f"at {path}" if path else "the whole space"
        return UnsupportedSpace(f"unsupported {role} space {whole}: {where}, {space}: {reason}")

    if isinstance(space, spaces.Dict):
        if not space.spaces:
            raise refuse("an empty Dict has nothing to learn from; remove it.")
        if not all(isinstance(key, str) for key in space.spaces):
            raise refuse(f"the keys of a Dict must be strings, and they are {list(space.spaces)}; rename them.")
        parts = space.spaces.items()
        return {key: _leaf_tree(space=part, role=role, path=f"{path}[{key!r}]", whole=whole) for key, part in parts}
    if isinstance(space, spaces.Tuple):
        if not space.spaces:
            raise refuse("an empty Tuple has nothing to learn from; remove it.")
        return tuple(
            _leaf_tree(space=part, role=role, path=f"{path}[{index}]", whole=whole)
            for index, part in enumerate(space.spaces)
        )
    if isinstance(space, spaces.Box):
        return _box_leaf(space=space, role=role, refuse=refuse)
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return _discrete_leaf(space=space, refuse=refuse)
    if isinstance(space, spaces.MultiBinary):
        return BinaryLeaf(shape=tuple(space.shape))
    if isinstance(space, spaces.Sequence) and _holds_vectors(space):
        return _set_leaf(space=space, role=role, refuse=refuse)
    raise refuse(
        f"a {type(space).__name__} space has no inside form; Box, Discrete, MultiDiscrete, MultiBinary, SetOf, "
        "Dict and Tuple have. Wrap the environment so that it offers one of these."
    )


def _holds_vectors(space: spaces.Sequence) -> bool:
    element = space.feature_space
    return isinstance(element, spaces.Box) and len(element.shape) == 1 and np.issubdtype(element.dtype, np.floating)


def _set_leaf(*, space: spaces.Sequence, role: Role, refuse: Callable[[str], UnsupportedSpace]) -> SetLeaf:
    if role == "action":
        raise refuse("a set has no inside form as an action; choose one element at a time.")
    if not isinstance(space, SetOf):
        raise refuse(
            "a Sequence does not say how many elements there may be; declare it: wrap the environment with "
            "triax.environments.DeclareSet(environment, entry=…, maximum=…)."
        )
    (numbers,) = space.element.shape
    return SetLeaf(
        shape=(space.maximum, numbers + 1),
        low=tuple(float(bound) for bound in space.element.low),
        high=tuple(float(bound) for bound in space.element.high),
        minimum=space.minimum,
    )


def _discrete_leaf(
    *, space: spaces.Discrete[Any] | spaces.MultiDiscrete[Any], refuse: Callable[[str], UnsupportedSpace]
) -> DiscreteLeaf:
    if isinstance(space, spaces.Discrete):
        leaf = DiscreteLeaf(
            shape=(), sizes=(int(space.n),), start=(int(space.start),), outside_dtype=str(np.dtype(space.dtype))
        )
    else:
        leaf = DiscreteLeaf(
            shape=space.nvec.shape,
            sizes=tuple(int(size) for size in space.nvec.flat),
            start=tuple(int(start) for start in space.start.flat),
            outside_dtype=str(np.dtype(space.dtype)),
        )
    if not leaf.sizes:
        raise refuse("a MultiDiscrete without components has nothing to learn; remove it.")
    if max(leaf.sizes) > LARGEST_CHOICE:
        raise refuse(f"more than {LARGEST_CHOICE} options; declare numbers as a Box.")
    return leaf


def _image_leaf(*, shape: tuple[int, ...], high: int) -> ImageLeaf:
    if len(shape) == 3 and shape[0] <= MOST_CHANNELS < min(shape[1:]):
        warnings.warn(
            f"an observation of bytes {shape} is taken as an image of {shape[0]} × {shape[1]} pixels with {shape[2]} "
            "channels. If channels or stacked frames come first in it, have them come last, by "
            "gymnasium.wrappers.TransformObservation with numpy.moveaxis(image, 0, -1).",
            stacklevel=2,
        )
    return ImageLeaf(shape=shape, high=max(1, high))


def _box_leaf(*, space: spaces.Box, role: Role, refuse: Callable[[str], UnsupportedSpace]) -> Leaf:
    shape = tuple(int(size) for size in space.shape)
    if 0 in shape:
        raise refuse(
            "a Box without components has nothing to learn; remove it. (Where a Tuple has a Box for each option, "
            "an option without parameters has none; declare by triax.UsedBy which options use the others.)"
        )
    if np.dtype(space.dtype) == np.uint8 and role == "observation":
        return _image_leaf(shape=shape, high=int(np.max(space.high)))
    if role == "action":
        if np.dtype(space.dtype) == np.bool_:
            raise refuse("a Box of bools as an action is a MultiBinary; declare it as one.")
        if np.issubdtype(space.dtype, np.integer):
            raise refuse("an integer Box as an action is a MultiDiscrete; declare it as one.")
        if not np.all(np.isfinite(space.low) & np.isfinite(space.high)):
            raise refuse(
                "an action's Box needs finite bounds, since actions are scaled from [-1, 1]; declare those that are "
                "meant, here -1 and 1, by a wrapper: gymnasium.wrappers.TransformAction(environment, numpy.asarray, "
                f"gymnasium.spaces.Box(-1.0, 1.0, {shape}))."
            )
        if np.any(np.maximum(np.abs(space.low), np.abs(space.high)).astype(np.float64) > LARGEST_BOUND):
            raise refuse(f"an action's bounds must be within ±{LARGEST_BOUND:g}; declare the bounds that are meant.")
        if np.any(space.high <= space.low):
            raise refuse("an action's upper bounds must lie above its lower bounds; remove the fixed components.")
    return BoxLeaf(
        shape=shape,
        low=tuple(float(bound) for bound in space.low.flat),
        high=tuple(float(bound) for bound in space.high.flat),
        outside_dtype=str(np.dtype(space.dtype)),
    )
