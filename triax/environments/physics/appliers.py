"""What brings sampled values into an environment: into its MuJoCo model, or into its attributes."""

from collections.abc import Mapping
from typing import Any, Protocol

import gymnasium

from triax.environments.physics.parameters import PhysicsTable, unknown

ENVIRONMENT = "environment"
"""The element whose attributes are those of the environment's Python object."""


class PhysicsOverwritten(RuntimeError):
    """The environment's own reset changed a number back that had been sampled."""


class Applier(Protocol):
    """Brings values into an environment."""

    def apply(self, values: Mapping[str, float]) -> None:
        """Bring them in; what was brought in before is gone.

        :param values: by the parameters' names.
        """

    def check(self) -> None:
        """Find out whether they are still there after a reset.

        :raises PhysicsOverwritten: if not.
        """


class AttributeApplier:
    """Sets attributes of the environment's Python object.

    :param environment: the environment.
    :param table: parameters of the element "environment".
    :raises UnknownPhysicsElement: if the object has no such attribute that is a number.
    """

    def __init__(self, *, environment: gymnasium.Env[Any, Any], table: PhysicsTable) -> None:
        self._environment: Any = environment.unwrapped
        self._attributes = {row.name: row.attribute for row in table}
        names = [name for name in dir(self._environment) if not name.startswith("_") and self._is_number(name)]
        for attribute in self._attributes.values():
            if attribute not in names:
                what = f"no number {attribute!r} among the attributes of {type(self._environment).__name__}"
                raise unknown(what=what, name=attribute, names=names)

    def apply(self, values: Mapping[str, float]) -> None:
        """Set the attributes; see :class:`Applier`."""
        self._values = {
            # What counts (cells of a lake) stays an integer.
            attribute: type(getattr(self._environment, attribute))(values[name])
            for name, attribute in self._attributes.items()
        }
        for attribute, value in self._values.items():
            setattr(self._environment, attribute, value)

    def check(self) -> None:
        """Find out whether they are still there; see :class:`Applier`."""
        for attribute, value in self._values.items():
            if getattr(self._environment, attribute) != value:
                raise PhysicsOverwritten(
                    f"{type(self._environment).__name__} sets its attribute {attribute!r} itself when it is reset, so "
                    "that what was sampled is lost. Leave it out of the table."
                )

    def _is_number(self, name: str) -> bool:
        value = getattr(self._environment, name, None)
        return isinstance(value, int | float) and not isinstance(value, bool)


def make_appliers(*, environment: gymnasium.Env[Any, Any], table: PhysicsTable) -> tuple[Applier, ...]:
    """Find who brings the values of a table in.

    :param environment: the environment.
    :param table: what is randomised.
    :return: appliers, each for its part of the table.
    """
    attributes = tuple(row for row in table if row.elements == (ENVIRONMENT,))
    elements = tuple(row for row in table if row not in attributes)
    found: list[Applier] = []
    if attributes:
        found.append(AttributeApplier(environment=environment, table=attributes))
    if elements:
        # MuJoCo is an extra, and slow to import.
        from triax.environments.physics.models import ModelApplier

        found.append(ModelApplier(environment=environment, table=elements))
    return tuple(found)
