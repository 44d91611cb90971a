"""What a run ran on: versions, processor, cores, device.

A resumed run ends with the same bits as one that was never interrupted on the same kind of processor, the same number
of cores and the same versions. These are what is recorded here, so that a difference can be warned of.
"""

import importlib.metadata
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from triax.processor import usable_cores
from triax.runs.files import JSON

_PACKAGES = ("triax", "jax", "jaxlib", "flax", "optax", "numpy", "gymnasium", "mujoco")
_NOT_INSTALLED = "not installed"


@dataclass(frozen=True, kw_only=True)
class EnvironmentDescription:
    """What a program runs on.

    :param python: the version of Python.
    :param packages: the versions of the packages that decide what a run computes.
    :param platform: the operating system and its version.
    :param processor: the processor's model.
    :param cores: the cores that this process may use, which may be fewer than the machine has.
    :param backend: JAX's backend (``cpu``, ``gpu``, ``tpu``), if JAX was asked.
    :param device: the kind of the first device that computes, if JAX was asked.
    :param devices: how many devices compute, if JAX was asked.
    """

    python: str
    packages: Mapping[str, str]
    platform: str
    processor: str
    cores: int
    backend: str | None
    device: str | None
    devices: int | None = None

    def differences(self, other: "EnvironmentDescription") -> tuple[str, ...]:
        """Compare with another environment.

        What one of the two does not know of itself (the device) is no difference.

        :param other: the later environment.
        :return: a line for each difference, such as ``jax: 0.10.1, now 0.10.2``; none if there is none.
        """
        lines: list[str] = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name == "packages":
                for name in sorted(self.packages.keys() | other.packages.keys()):
                    before, now = self.packages.get(name, _NOT_INSTALLED), other.packages.get(name, _NOT_INSTALLED)
                    if before != now:
                        lines.append(f"{name}: {before}, now {now}")
            elif mine != theirs and mine is not None and theirs is not None:
                lines.append(f"{field.name}: {mine}, now {theirs}")
        return tuple(lines)

    def to_json(self) -> dict[str, JSON]:
        """Turn into a document.

        :return: the document.
        """
        return {
            "python": self.python,
            "packages": dict(self.packages),
            "platform": self.platform,
            "processor": self.processor,
            "cores": self.cores,
            "backend": self.backend,
            "device": self.device,
            "devices": self.devices,
        }

    @staticmethod
    def from_json(document: Mapping[str, JSON]) -> "EnvironmentDescription":
        """Read what :meth:`to_json` made.

        :param document: the document.
        :return: the description.
        :raises KeyError: if something is missing.
        """
        backend, device = document["backend"], document["device"]
        devices = document.get("devices")  # Descriptions of earlier versions do not count them.
        return EnvironmentDescription(
            python=str(document["python"]),
            packages={name: str(version) for name, version in cast(Mapping[str, JSON], document["packages"]).items()},
            platform=str(document["platform"]),
            processor=str(document["processor"]),
            cores=int(cast(int, document["cores"])),
            backend=None if backend is None else str(backend),
            device=None if device is None else str(device),
            devices=None if devices is None else int(cast(int, devices)),
        )


def environment_description(*, device: bool = True, devices: Sequence[Any] = ()) -> EnvironmentDescription:
    """Describe what this process runs on.

    :param device: whether to ask JAX for its device. That starts JAX's backend, which takes memory on an accelerator,
        so a process that computes nothing says no. If JAX was not imported, it is not asked.
    :param devices: those of JAX's devices that compute; none: its default.
    :return: the description.
    """
    jax = sys.modules.get("jax") if device else None
    computing = () if jax is None else tuple(devices) or jax.devices()[:1]
    return EnvironmentDescription(
        python=platform.python_version(),
        packages={name: version for name in _PACKAGES if (version := _version(name)) is not None},
        platform=platform.platform(),
        processor=_processor(),
        cores=usable_cores(),
        backend=str(computing[0].platform) if computing else None,
        device=str(computing[0].device_kind) if computing else None,
        devices=len(computing) or None,
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # A package that is run from its sources, without being installed, may say its version itself.
        return getattr(sys.modules.get(package), "__version__", None)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
