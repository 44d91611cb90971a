"""What holds in all tests: annotations with shapes are checked, and JAX computes on the CPU unless told otherwise."""

import os
import sys

import jaxtyping
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling small functions that run a few times; unoptimised, that takes half as long.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

if any(name == "triax" or name.startswith("triax.") for name in sys.modules):
    raise RuntimeError("triax was imported before the tests' import hook: its annotations would not be checked.")
jaxtyping.install_import_hook("triax", "type_checking.checker")

LONGEST = (
    "test_workers.py",
    "test_ray_fleet.py",
    "test_cli.py",
    "test_process_fleet.py",
    "test_evaluator_process.py",
    "test_policy_lag.py",
    "test_documentation.py",
)
"""Files whose tests take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: then those that run side by side end at about the same time."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
