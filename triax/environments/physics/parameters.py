"""Tables of physical parameters, and what is sampled from them. Nothing here knows any simulator."""

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from triax.environments.physics.distributions import Distribution
from triax.random import derive_generator


class UnknownPhysicsElement(ValueError):
    """A table, or a value that was fixed, names something that is not there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhysicsParameter:
    """What is randomised, and how."""

    element: str | tuple[str, ...]
    """Kind and name, such as "geom foot", "joint hip", "body torso" or "actuator knee"; "option" for what concerns the
    whole model, such as its gravity; "environment" for attributes of the Python object. A tuple of several: they get
    the same value."""

    attribute: str
    """As MjSpec calls it, with an index where it is one of several numbers: "size[0]", "gravity[2]", "damping"."""

    distribution: Distribution
    """From what it is drawn."""

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements, also if there is one."""
        return (self.element,) if isinstance(self.element, str) else self.element

    @property
    def name(self) -> str:
        """What the parameter is called in records, such as "geom foot size[0]"."""
        return f"{', '.join(self.elements)} {self.attribute}"


PhysicsTable: TypeAlias = tuple[PhysicsParameter, ...]
"""What is randomised in an environment."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhysicsSample:
    """One world.

    :ivar values: the value of each parameter by its name, in the table's order.
    """

    values: Mapping[str, float]

    def replace(self, values: Mapping[str, float]) -> "PhysicsSample":
        """Put other values in the place of some.

        :param values: by the parameters' names.
        :return: the other world.
        :raises UnknownPhysicsElement: if there is no parameter of a name.
        :raises ValueError: if a value is no finite number.
        """
        for name, value in values.items():
            if name not in self.values:
                raise unknown(what=f"no parameter {name!r} in the table of physics", name=name, names=self.values)
            if not math.isfinite(value):
                raise ValueError(f"the physical parameter {name!r} was fixed to {value!r}, which is no finite number.")
        return PhysicsSample(values={name: float(values.get(name, value)) for name, value in self.values.items()})

    def to_unit(self, table: PhysicsTable) -> Float32[np.ndarray, " parameters"]:
        """Scale the values as a policy is shown them.

        :param table: from which they were sampled.
        :return: where each value lies between its parameter's bounds, −1 for the lower and 1 for the upper one.
        """
        return np.array([row.distribution.to_unit(self.values[row.name]) for row in table], np.float32)


def check_table(table: PhysicsTable) -> None:
    """Refuse a table that cannot be meant.

    :param table: the table.
    :raises ValueError: if it is empty, or has a parameter twice.
    """
    names = [f"{element} {row.attribute}" for row in table for element in row.elements]
    if not names:
        raise ValueError("the table of physics has no parameters; give at least one PhysicsParameter.")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the table of physics has {name!r} more than once; give it one distribution.")


def sample(*, table: PhysicsTable, generator: np.random.Generator) -> PhysicsSample:
    """Draw a world. Pure: the same generator gives the same values.

    :param table: what is randomised; its order is the order of drawing.
    :param generator: where the randomness comes from.
    :return: a value for each parameter.
    """
    return PhysicsSample(values={row.name: row.distribution.draw(generator) for row in table})


def episode_physics(*, table: PhysicsTable, seed: int) -> PhysicsSample:
    """Draw the world of an episode, which follows from the seed of its reset alone.

    :param table: what is randomised.
    :param seed: of the reset.
    :return: what :class:`~triax.environments.physics.wrapper.RandomisedPhysics` samples in that reset.
    """
    return sample(table=table, generator=derive_generator(seed=seed, name=("physics",)))


def unknown(*, what: str, name: str, names: Iterable[str]) -> UnknownPhysicsElement:
    """Write the message for a name that is not there.

    :param what: what is missing, and where.
    :param name: the name.
    :param names: those that are there.
    :return: the exception, to be raised.
    """
    known = sorted(names)
    # Short names are close to each other in few letters: a low cutoff, and the best match alone.
    longer = [it for it in known if name and name in it]
    matches = longer if len(longer) == 1 else difflib.get_close_matches(name, longer or known, n=1, cutoff=0.4)
    close = f" Did you mean {matches[0]!r}?" if matches else ""
    return UnknownPhysicsElement(f"there is {what}.{close} There are: {', '.join(map(repr, known)) or 'none'}.")
