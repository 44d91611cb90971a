"""What brings sampled values into an environment: into its MuJoCo model, or into its attributes."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium

from triax.environments.physics.parameters import PhysicsTable, unknown

ENVIRONMENT = "environment"
"""The element whose attributes are those of the environment's Python object."""


class PhysicsOverwritten(RuntimeError):
    """The environment's own reset changed a number back that had been sampled."""


@runtime_checkable
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
    """Sets attributes of the environment's Python object, or of a wrapper of it.

    :param environment: the environment.
    :param table: parameters of the element "environment".
    :raises UnknownPhysicsElement: if no object has such an attribute that is a number.
    """

    def __init__(self, *, environment: gymnasium.Env[Any, Any], table: PhysicsTable) -> None:
        self._environment = environment
        self._attributes = {row.name: row.attribute for row in table}
        self._values: dict[str, Any] = {}
        names = _number_names(environment)
        for attribute in self._attributes.values():
            if attribute not in names:
                what = f"no number {attribute!r} among the attributes of {environment}"
                raise unknown(what=what, name=attribute, names=names)

    def apply(self, values: Mapping[str, float]) -> None:
        """Set the attributes; see :class:`Applier`."""
        for name, attribute in self._attributes.items():
            # What counts (cells of a lake) stays an integer.
            kind = type(self._environment.get_wrapper_attr(attribute))
            self._values[attribute] = kind(values[name])
            self._environment.set_wrapper_attr(attribute, self._values[attribute])

    def check(self) -> None:
        """Find out whether they are still there; see :class:`Applier`."""
        for attribute, value in self._values.items():
            if self._environment.get_wrapper_attr(attribute) != value:
                raise PhysicsOverwritten(
                    f"{self._environment} sets its attribute {attribute!r} itself when it is reset, so that what was "
                    "sampled is lost. Leave it out of the table."
                )


def _number_names(environment: gymnasium.Env[Any, Any]) -> set[str]:
    """List the attributes that are numbers, of the environment and its wrappers."""
    layer, found = environment, set[str]()
    while True:
        for name in dir(layer):
            value = None if name.startswith("_") else getattr(layer, name, None)
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.add(name)
        if not isinstance(layer, gymnasium.Wrapper):
            return found
        layer = layer.env


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
