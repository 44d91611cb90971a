"""How Triax compiles: :func:`jax.jit` with the options of XLA that were measured to be faster."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.errors import JaxRuntimeError
from jax.stages import Wrapped

OPTIONS: Mapping[str, str] = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""
On CPUs, no products of matrices by YNNPACK, which newer versions of XLA prefer to Eigen: without it an update of SAC,
with two layers of 256 units on two cores, takes a seventh less. Where XLA has no such library, the option says nothing.
"""


def compiled(function: Callable[..., Any], **options: Any) -> Wrapped:
    """Compile a function.

    :param function: of arrays.
    :param options: what :func:`jax.jit` takes.
    :return: the compiled function.
    """
    return jax.jit(function, compiler_options=known_options(), **options)


@functools.cache
def known_options() -> dict[str, str]:
    """List the options that JAX's default device knows.

    :return: :data:`OPTIONS`, or those of them that this version of XLA does not refuse.
    """
    return {name: value for name, value in OPTIONS.items() if _known(name=name, value=value)}


def _known(*, name: str, value: str) -> bool:
    try:
        jax.jit(lambda number: number, compiler_options={name: value}).lower(0).compile()
    except JaxRuntimeError:
        return False
    return True
