"""How Triax compiles: :func:`jax.jit` with the options of XLA that were measured to be faster."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.errors import JaxRuntimeError
from jax.extend.core import ClosedJaxpr, Jaxpr

FEWER_COPIES = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""On CPUs, what a loop carries is changed in place where nothing reads the old value any more, not copied first."""

EIGEN = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""
On CPUs, products of matrices by Eigen and not by YNNPACK, which newer versions of XLA prefer. On a processor without
AVX-512, Eigen is faster at those of SAC's updates.
"""

FUSED_YNNPACK = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
"""
On CPUs, products of matrices by YNNPACK, each on one core and several at a time. On a processor with AVX-512, this is
faster at SAC's updates than what XLA would choose, and than Eigen, which divides each product among the cores.
"""


class Compiled:
    """A function that is compiled when it is called, with options that suit what it computes.

    :param function: of arrays.
    :param options: what :func:`jax.jit` takes.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self._function = function
        self._options = options
        self._compiled: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function, as any function that :func:`jax.jit` compiles.

        The options are chosen at the first call, from its arguments.

        :param arguments: of the function.
        :param named: the same, by name.
        :return: what the function returns.
        """
        if self._compiled is None:
            self._compiled = self._chosen(arguments, named)
        return self._compiled(*arguments, **named)

    def lower(self, *arguments: Any, **named: Any) -> jax.stages.Lowered:
        """Lower the function for given arguments, without calling it.

        :param arguments: of the function, or shapes in their place.
        :param named: the same, by name.
        :return: JAX's lowered function.
        """
        lowered: jax.stages.Lowered = self._chosen(arguments, named).lower(*arguments, **named)
        return lowered

    def _chosen(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        # Traced once: JAX keeps the trace of a function, whatever it is compiled with.
        plain = jax.jit(self._function, **self._options)
        options = chosen_options(plain.trace(*arguments, **named).jaxpr.jaxpr)
        return jax.jit(self._function, compiler_options=options, **self._options) if options else plain


def chosen_options(program: Jaxpr) -> dict[str, Any]:
    """Choose what XLA is asked for; how products are computed is left to XLA where batches of matrices are multiplied.

    :param program: what JAX traced.
    :return: options of XLA, all of which it knows.
    """
    products = {} if multiplies_batches(program) else FUSED_YNNPACK if has_avx512() else EIGEN
    return {
        name: value for options in (FEWER_COPIES, products) if is_known(**options) for name, value in options.items()
    }


def multiplies_batches(program: Jaxpr) -> bool:
    """Say whether a program has products of batches of matrices.

    :param program: what JAX traced.
    :return: whether it has any, in loops and branches too.
    """
    for equation in program.eqns:
        if equation.primitive.name == "dot_general" and any(equation.params["dimension_numbers"][1]):
            return True
        if any(multiplies_batches(inner) for value in equation.params.values() for inner in _programs(value)):
            return True
    return False


@functools.cache
def is_known(**options: Any) -> bool:
    """Ask XLA, which changes what options there are, by compiling next to nothing.

    :param options: of XLA.
    :return: whether JAX's default device takes them.
    """
    try:
        jax.jit(lambda number: number, compiler_options=options).lower(0).compile()
    except JaxRuntimeError:
        return False
    return True


@functools.cache
def has_avx512() -> bool:
    """Ask Linux whether the processor has AVX-512.

    :return: whether it has; False where there is no Linux to ask.
    """
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False


def _programs(value: Any) -> Iterator[Jaxpr]:
    if isinstance(value, ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _programs(each)
