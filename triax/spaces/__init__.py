"""The border between Gymnasium's spaces and the inside of the project.

A Gymnasium space becomes a :class:`SpaceSpec` once, when an experiment is built: a tree of *leaves* (dicts and tuples
as in the space), each with shape, dtype and bounds or sizes. On the inside, actions and observations are trees of
arrays of that structure:

========================  ==========================================================  ============
space                     inside form                                                 leaf
========================  ==========================================================  ============
``Box``, floats           float32; components with finite bounds scaled to [-1, 1],   BoxLeaf
                          the others left in the environment's own units
``Box``, integers, bools  float32, scaled likewise (observations only)                BoxLeaf
``Box``, uint8            uint8 as it is, until the encoder (observations only)       ImageLeaf
``Discrete``              int32 in [0, n), whatever the space's start                 DiscreteLeaf
``MultiDiscrete``         int32, component i in [0, sizes[i])                         DiscreteLeaf
``MultiBinary``           int8, 0 or 1                                                BinaryLeaf
``SetOf``                 float32 [maximum, numbers + 1]: padded elements, and a      SetLeaf
                          last column that says which rows are elements
``Dict``, ``Tuple``       dict, tuple of these, to any depth
========================  ==========================================================  ============

An action's Boxes must have finite bounds: there is nothing to scale otherwise. What is not supported is refused here,
with the space, the leaf and the reason, as :class:`UnsupportedSpace`.

The parts of an action can hang together (a parameter that only one choice uses), and with what the observation says (a
mask of what is allowed, a set whose elements are chosen from): see :class:`UsedBy`, :class:`MaskOf` and
:class:`ElementOf`.
"""

from triax.spaces.choices import ChoiceComponent, ChoiceTable, choice_table
from triax.spaces.conditions import Conditions, Part, component_sizes, conditions, deciding_first
from triax.spaces.declared import ElementOf, MaskOf, SetOf
from triax.spaces.leaves import (
    LARGEST_BOUND,
    BinaryLeaf,
    BoxLeaf,
    DiscreteLeaf,
    ImageLeaf,
    InvalidSet,
    Leaf,
    LeafTree,
    SetLeaf,
    UnsupportedSpace,
)
from triax.spaces.masks import allowed_options, impossible_choices
from triax.spaces.reading import LARGEST_CHOICE, Role, space_spec
from triax.spaces.relations import ElementsOf, MaskedBy, Relation, UsedBy
from triax.spaces.resolving import action_spec
from triax.spaces.spec import SpaceSpec

__all__ = [
    "LARGEST_BOUND",
    "LARGEST_CHOICE",
    "BinaryLeaf",
    "BoxLeaf",
    "ChoiceComponent",
    "ChoiceTable",
    "Conditions",
    "DiscreteLeaf",
    "ElementOf",
    "ElementsOf",
    "ImageLeaf",
    "InvalidSet",
    "Leaf",
    "LeafTree",
    "MaskOf",
    "MaskedBy",
    "Part",
    "Relation",
    "Role",
    "SetLeaf",
    "SetOf",
    "SpaceSpec",
    "UnsupportedSpace",
    "UsedBy",
    "action_spec",
    "allowed_options",
    "choice_table",
    "component_sizes",
    "conditions",
    "deciding_first",
    "impossible_choices",
    "space_spec",
]
