"""Sampled values in a MuJoCo model: its specification is edited by name, compiled, and the numbers are taken over."""

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import mujoco

from triax.environments.physics.elements import pin_inertias, write_attribute
from triax.environments.physics.ground import clearances, lift
from triax.environments.physics.parameters import PhysicsParameter, PhysicsTable
from triax.environments.physics.running import RunningModel, differences, read_numbers
from triax.environments.physics.sources import find_model

_SAME_HEIGHT = 1e-9
"""Differences below this many metres are those of rounding."""


class ModelApplier:
    """Edits the specification of a MuJoCo model by name, compiles it, and takes the numbers over.

    :param environment: the environment.
    :param table: parameters of elements of its model.
    :raises NoMuJoCoModel: if the environment has no model.
    :raises UnknownPhysicsElement: if the model has no such element or attribute.
    :raises ValueError: if a parameter changes nothing, or cannot be set.
    """

    def __init__(self, *, environment: gymnasium.Env[Any, Any], table: PhysicsTable) -> None:
        self._table = table
        self._source = find_model(environment)
        self._specification = self._source.specification
        _make_quick_to_compile(self._specification)
        self._base = _compile(self._specification)
        self._clearances = clearances(self._base)
        self._running = RunningModel(model=self._source.model, compiled=self._base)
        self._check_effects()

    def apply(self, values: Mapping[str, float]) -> None:
        """Bring values into the model; see :class:`Applier`."""
        compiled = self.compile(values)
        self._running.exchange(compiled)
        self._source.move_start(compiled.qpos0 - self._base.qpos0)

    def check(self) -> None:
        """Find out whether they are still there; see :class:`Applier`."""
        self._running.check()

    def compile(self, values: Mapping[str, float]) -> Any:
        """Compile the model with some values.

        :param values: by the parameters' names.
        :return: a ``mujoco.MjModel``; with small textures.
        """
        specification = self._specification.copy()
        self._write(specification, compiled=self._base, values=values, masses=False)
        if any(_is_mass(row) for row in self._table if row.name in values):
            # Masses are those of the bodies in their new shapes, and the others keep theirs.
            shaped = _compile(specification)
            pin_inertias(specification=specification, compiled=shaped)
            self._write(specification, compiled=shaped, values=values, masses=True)
        compiled = _compile(specification)
        heights = {root: height - now for root, height, now in self._compared_clearances(compiled)}
        if any(abs(height) > _SAME_HEIGHT for height in heights.values()):
            lift(specification=specification, model=compiled, heights=heights)
            compiled = _compile(specification)
        return compiled

    def _write(self, specification: Any, *, compiled: Any, values: Mapping[str, float], masses: bool) -> None:
        for row in self._table:
            if row.name in values and _is_mass(row) == masses:
                for element in row.elements:
                    write_attribute(
                        specification=specification,
                        compiled=compiled,
                        element=element,
                        attribute=row.attribute,
                        value=values[row.name],
                    )

    def _compared_clearances(self, compiled: Any) -> list[tuple[int, float, float]]:
        """List roots with their clearances of before and of now."""
        if not self._clearances:
            return []
        now = clearances(compiled)
        return [(root, height, now[root]) for root, height in self._clearances.items()]

    def _check_effects(self) -> None:
        """Try each parameter at its ends: names, values, and that they do something."""
        for row in self._table:
            low = self.compile({row.name: row.distribution.low})
            if row.distribution.low == row.distribution.high:
                continue
            high = self.compile({row.name: row.distribution.high})
            if not differences(read_numbers(low), read_numbers(high)):
                raise ValueError(
                    f"{row.name!r} changes nothing in the compiled model {self._specification.modelname!r}: MuJoCo "
                    "ignores this attribute there, because another one settles it (a mesh its size, a body's geoms its "
                    "inertia). Take that one."
                )


def _is_mass(row: PhysicsParameter) -> bool:
    return row.attribute == "mass" and all(element.startswith("body ") for element in row.elements)


def _make_quick_to_compile(specification: Any) -> None:
    """Leave out what costs most of the time of compiling: textures, which are never taken over, and other threads."""
    specification.compiler.usethread = False
    for texture in specification.textures:
        texture.builtin = mujoco.mjtBuiltin.mjBUILTIN_FLAT
        texture.file = ""
        texture.width = 1
        texture.height = 1 if texture.type == mujoco.mjtTexture.mjTEXTURE_2D else 6


def _compile(specification: Any) -> Any:
    with warnings.catch_warnings():
        # About total masses that the models of the half cheetahs state; their users cannot mend it.
        warnings.filterwarnings("ignore", message=".*settotalmass.*")
        return specification.compile()
