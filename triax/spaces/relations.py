"""Relations: how the parts of an action hang together, and with what the observation says.

Places in a space are named by paths: keys and numbers joined by dots ("move", "1.0"), "" for a whole space that is one
leaf.
"""

import dataclasses
from typing import Any, TypeAlias


@dataclasses.dataclass(frozen=True, kw_only=True)
class UsedBy:
    """A part of an action that means something only where a choice takes certain options.

    Elsewhere it is 0 in the inside form, and counts neither in log-probabilities, nor in entropies, nor in what a
    critic sees. Several of them about the same part all have to hold. What is declared about a part takes the place of
    what its form says (a parameterised action's, see :func:`triax.spaces.action_spec`).

    :raises TypeError: if a field is of another type.
    """

    parameter: str
    """Path of the part: a Box, or a further choice."""
    choice: str
    """Path of a discrete part of the same action."""
    options: tuple[int, ...]
    """The options that use it, counted from 0 whatever the space's start."""
    component: int | None = None
    """Which number of the part is meant, counted flat; None: all of them."""
    choice_component: int | None = None
    """Which number of the choice decides, counted flat; None where it is a Discrete, which has but one."""

    def __post_init__(self) -> None:
        """Check the types: a forgotten comma makes a number of a tuple."""
        if not isinstance(self.options, tuple) or not all(_is_whole(option) for option in self.options):
            raise TypeError(
                f"UsedBy.options={self.options!r} has to be a tuple of whole numbers, such as (1,) or (0, 2)."
            )
        for name in ("component", "choice_component"):
            value = getattr(self, name)
            if value is not None and not _is_whole(value):
                raise TypeError(f"UsedBy.{name}={value!r} has to be a whole number, or None.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedBy:
    """A choice of which the observation says what is allowed."""

    choice: str
    """Path of the choice in the action."""
    mask: str
    """Path of the bits in the observation: one for each option (component after component), 1 where it is allowed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElementsOf:
    """A choice among the elements of an observed set."""

    choice: str
    """Path of the choice in the action."""
    elements: str
    """Path of the set in the observation."""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


Relation: TypeAlias = UsedBy | MaskedBy | ElementsOf

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (UsedBy, MaskedBy, ElementsOf)}


def describe_relation(relation: Relation) -> dict[str, Any]:
    """Describe a relation in JSON values.

    :param relation: the relation.
    :return: :func:`relation_from_description` reads it.
    """
    fields = dataclasses.asdict(relation)
    return {
        type(relation).__name__: {name: list(value) if name == "options" else value for name, value in fields.items()}
    }


def relation_from_description(description: Any) -> Relation:
    """Read what :func:`describe_relation` wrote.

    :param description: JSON values.
    :return: the relation.
    :raises ValueError: if it is not the description of a relation.
    """
    kind, fields = next(iter(description.items())) if isinstance(description, dict) and description else (None, None)
    known = _KINDS.get(str(kind))
    names = {field.name for field in dataclasses.fields(known)} if known is not None else set()
    needed = names - {"component", "choice_component"}
    if known is None or len(description) != 1 or not isinstance(fields, dict) or not needed <= set(fields) <= names:
        raise ValueError(f"not the description of a relation: {description!r}")
    relation: Relation = known(**{name: tuple(value) if name == "options" else value for name, value in fields.items()})
    return relation
