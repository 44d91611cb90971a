"""How Triax compiles: :func:`jax.jit` with the options of XLA that were measured to be faster."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.core import ShapedArray
from jax.errors import JaxRuntimeError
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from triax.processor import has_avx512

FEWER_COPIES = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""On CPUs, what a loop carries is changed in place where nothing reads the old value any more, not copied first."""

EIGEN = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""
On CPUs, products of matrices by Eigen and not by YNNPACK, which newer versions of XLA prefer. Eigen is faster at small
ones, and on a processor without AVX-512 at those of SAC's updates, too.
"""

FUSED_YNNPACK = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
"""
On CPUs, products of matrices by YNNPACK, each on one core and several at a time. On a processor with AVX-512, this is
faster at large ones, as SAC's updates have them, than what XLA would choose, and than Eigen, which divides each product
among the cores.
"""

LARGE_PRODUCT = 6_000_000
"""
From so many multiplications on, a product is a large one. SAC's updates with a batch of 256 were measured to be faster
by Eigen up to 2 × 128 units, and by YNNPACK from 2 × 192 on.
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
    products = list(matrix_products(program))
    if any(is_of_batches(product) for product, _ in products):
        library = {}
    else:
        library = FUSED_YNNPACK if are_mostly_large(products) and has_avx512() else EIGEN
    return {
        name: value for options in (FEWER_COPIES, library) if is_known(**options) for name, value in options.items()
    }


def matrix_products(program: Jaxpr, *, times: int = 1) -> Iterator[tuple[JaxprEqn, int]]:
    """Find a program's products of matrices.

    :param program: what JAX traced.
    :param times: how often the program runs.
    :return: its products, in loops and branches too, and how often each is computed: in a loop as often as it goes
        round, where that is known.
    """
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            yield equation, times
        rounds = equation.params["length"] if equation.primitive.name == "scan" else 1
        for value in equation.params.values():
            for inner in _programs(value):
                yield from matrix_products(inner, times=times * rounds)


def are_mostly_large(products: Sequence[tuple[JaxprEqn, int]]) -> bool:
    """Say whether most of the work is in large products.

    :param products: as :func:`matrix_products` finds them.
    :return: whether large ones have at least half of all multiplications.
    """
    work = [(multiplications(product), times) for product, times in products]
    large = sum(size * times for size, times in work if size >= LARGE_PRODUCT)
    return large > 0 and 2 * large >= sum(size * times for size, times in work)


def is_of_batches(product: JaxprEqn) -> bool:
    """Say whether a product is one of batches of matrices.

    :param product: as :func:`matrix_products` finds it.
    :return: whether it has batches on both sides.
    """
    return any(product.params["dimension_numbers"][1])


def multiplications(product: JaxprEqn) -> int:
    """Count what a product multiplies.

    :param product: as :func:`matrix_products` finds it.
    :return: how many pairs of numbers.
    """
    (contracted, _), _ = product.params["dimension_numbers"]
    left, result = product.invars[0].aval, product.outvars[0].aval
    assert isinstance(left, ShapedArray)
    assert isinstance(result, ShapedArray)
    return math.prod([*(left.shape[axis] for axis in contracted), *result.shape])


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


def _programs(value: Any) -> Iterator[Jaxpr]:
    if isinstance(value, ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _programs(each)
