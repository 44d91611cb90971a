"""Devices: where a run computes its updates, and how the rows of a batch are split over several.

This is the one place that knows. The training loops compile their functions here and hand their data through here, so
that no learner is written for several devices: its state is on each of them, each has its share of a batch's rows, and
XLA inserts the sums over devices where a loss is a mean over rows.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from triax.compilation import Compiled
from triax.trees import Tree, tree_map
from triax.types import Sequences

_T = TypeVar("_T")

KINDS = ("cpu", "gpu")
"""Kinds of devices, as JAX names their platforms."""

_ROWS = "rows"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceName:
    """Devices as an experiment names them.

    :ivar text: as it was written.
    :ivar kind: one of :data:`KINDS`.
    :ivar indices: which of that kind.
    """

    text: str
    kind: str
    indices: tuple[int, ...]

    @staticmethod
    def read(text: str) -> "DeviceName":
        """Read ``cpu``, ``gpu``, ``gpu:1`` or ``gpu:0,1``.

        :param text: the name; without numbers, the first device of the kind.
        :return: what it says.
        :raises ValueError: if it says nothing.
        """
        kind, colon, numbers = text.partition(":")
        if kind not in KINDS:
            raise ValueError(
                f"Experiment.device={text!r}: {kind!r} is no kind of device; use {' or '.join(KINDS)}, with numbers if "
                "wanted, such as gpu:0 or gpu:0,1."
            )
        words = numbers.split(",") if colon else ["0"]
        if not all(word.isdecimal() for word in words):
            raise ValueError(
                f"Experiment.device={text!r}: after the colon stand the numbers of devices, counted from 0, such as "
                f"{kind}:0 or {kind}:0,1."
            )
        indices = tuple(int(word) for word in words)
        if len(set(indices)) < len(indices):
            raise ValueError(f"Experiment.device={text!r} names a device twice; name each once.")
        return DeviceName(text=text, kind=kind, indices=indices)

    def find(self) -> tuple[jax.Device, ...]:
        """Find the devices among those of this machine.

        :return: the devices, in the order of their names.
        :raises ValueError: if one is not there.
        """
        try:
            there = jax.local_devices(backend=self.kind)
        except RuntimeError as error:
            remedy = f"leave the field, or choose {jax.default_backend()}"
            if self.kind == "gpu":
                remedy = (
                    "install triax[cuda12] or triax[cuda13], see that JAX_PLATFORMS does not exclude it and that "
                    f"nvidia-smi shows it; or {remedy}"
                )
            raise ValueError(f"Experiment.device={self.text!r}: JAX finds no {self.kind} here; {remedy}.") from error
        if max(self.indices) >= len(there):
            remedy = f"use numbers from 0 to {len(there) - 1}" if len(there) > 1 else f"use {self.kind}:0"
            if self.kind == "cpu":
                remedy += (
                    ", or have JAX treat the processor as more devices "
                    f"(XLA_FLAGS=--xla_force_host_platform_device_count={max(self.indices) + 1})"
                )
            raise ValueError(
                f"Experiment.device={self.text!r}: there is no {self.kind}:{max(self.indices)}; JAX finds "
                f"{len(there)} of the kind. {remedy[0].upper()}{remedy[1:]}."
            )
        return tuple(there[index] for index in self.indices)


class Placement:
    """Everything on one device: the one given, or JAX's default, in which case nothing is done that JAX would not do.

    :param device: where; None: JAX's default.
    """

    def __init__(self, *, device: jax.Device | None = None) -> None:
        self._device = device

    @property
    def devices(self) -> tuple[jax.Device, ...]:
        """The devices; none where they were not chosen."""
        return () if self._device is None else (self._device,)

    def computing(self) -> contextlib.AbstractContextManager[Any]:
        """Make the device (of several, the first) the one on which this thread computes what is not placed elsewhere.

        :return: a context.
        """
        return jax.default_device(self.devices[0]) if self.devices else contextlib.nullcontext()

    def check_rows(self, *, rows: int, field: str) -> None:
        """Refuse batches that cannot be split evenly.

        :param rows: of one batch.
        :param field: names the setting in the message.
        :raises ValueError: if the number of devices does not divide them.
        """

    def compile(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Compile a function of the learner's state.

        :param function: the function.
        :param options: what :func:`jax.jit` takes.
        :return: the compiled function; all it returns is on every device.
        """
        return Compiled(function, **options)

    def everywhere(self, tree: _T) -> _T:
        """Bring a tree to every device.

        :param tree: arrays, on the host or on JAX's default device.
        :return: arrays of JAX's own, which can be donated.
        """
        return tree_map(lambda leaf: jnp.array(leaf, copy=True), tree)

    def split_batches(self, batches: _T) -> _T:
        """Bring to each device its rows of several batches.

        :param batches: arrays on the host with a leading axis of batches; not written to afterwards.
        :return: the batches.
        """
        return batches

    def split(self, batch: _T) -> _T:
        """Split the rows of a batch, inside a compiled function.

        :param batch: arrays with rows along their leading axis, or :class:`~triax.types.Sequences`.
        :return: the same values.
        """
        return batch

    def on_first(self, tree: _T) -> _T:
        """Take what is on every device from the first alone, to act with it.

        :param tree: arrays that :meth:`compile` or :meth:`everywhere` gave.
        :return: arrays on one device; they may share memory with those given.
        """
        return tree


DEFAULT_PLACEMENT = Placement()
"""Where JAX computes if nobody says otherwise."""


class DataParallel(Placement):
    """The learner's state on each of several devices, the rows of every batch split over them.

    :param devices: two or more of one kind.
    """

    def __init__(self, *, devices: Sequence[jax.Device]) -> None:
        super().__init__(device=devices[0])
        self._mesh = Mesh(np.array(devices), (_ROWS,))
        self._whole = self._sharding()
        self._copy = self.compile(lambda tree: tree_map(jnp.copy, tree))

    @property
    def devices(self) -> tuple[jax.Device, ...]:
        """The devices."""
        return tuple(self._mesh.devices.flat)

    def check_rows(self, *, rows: int, field: str) -> None:
        """Refuse batches that cannot be split evenly; see :meth:`Placement.check_rows`."""
        count = len(self.devices)
        if rows % count:
            raise ValueError(
                f"{field}={rows}: Experiment.device names {count} devices, over which {rows} rows cannot be split "
                f"evenly; use {rows - rows % count or count} or {rows - rows % count + count} rows, or another number "
                "of devices."
            )

    def compile(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Compile a function of the learner's state; see :meth:`Placement.compile`."""
        return super().compile(function, out_shardings=self._whole, **options)

    def everywhere(self, tree: _T) -> _T:
        """Bring a tree to every device; see :meth:`Placement.everywhere`."""
        # Copied there: what was put on several devices of a CPU may share one buffer, and could not be donated.
        copied: _T = self._copy(jax.device_put(tree, self._whole))
        return copied

    def split_batches(self, batches: _T) -> _T:
        """Bring to each device its rows; see :meth:`Placement.split_batches`."""
        brought: _T = jax.device_put(batches, self._shardings(batches, leading=1))
        return brought

    def split(self, batch: _T) -> _T:
        """Split the rows of a batch; see :meth:`Placement.split`."""
        return tree_map(jax.lax.with_sharding_constraint, batch, self._shardings(batch, leading=0))

    def on_first(self, tree: _T) -> _T:
        """Take what the first device has; see :meth:`Placement.on_first`."""
        return tree_map(lambda leaf: leaf.addressable_data(0), tree)

    def _shardings(self, batch: Tree, *, leading: int) -> Tree:
        """Say for each leaf which axis has the rows, after ``leading`` others."""
        rows = self._sharding(*[None] * leading, _ROWS)
        times_rows = self._sharding(None, *[None] * leading, _ROWS)
        if not isinstance(batch, Sequences):
            return jax.tree.map(lambda _: rows, batch)
        # Times stand before the rows where there are any.
        return jax.tree_util.tree_map_with_path(
            lambda path, _: times_rows if path[0].name in ("rows", "mask") else rows, batch
        )

    def _sharding(self, *axes: str | None) -> NamedSharding:
        specification: Any = PartitionSpec  # It has no types.
        return NamedSharding(self._mesh, specification(*axes))


def placement_of(device: str | None) -> Placement:
    """Find the devices that an experiment names.

    :param device: ``Experiment.device``.
    :return: where to compute.
    :raises ValueError: if one is not there.
    """
    if device is None:
        return DEFAULT_PLACEMENT
    devices = DeviceName.read(device).find()
    return Placement(device=devices[0]) if len(devices) == 1 else DataParallel(devices=devices)
