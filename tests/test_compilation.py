"""Compiling with options: what suits a program is chosen from its trace, and it is traced once."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from triax import compilation
from triax.compilation import (
    EIGEN,
    FEWER_COPIES,
    FUSED_YNNPACK,
    Compiled,
    chosen_options,
    is_known,
    is_of_batches,
    matrix_products,
    multiplications,
)

MATRIX = jnp.ones((64, 64))
LARGE_MATRIX = jnp.ones((256, 256))
BATCH = jnp.ones((8, 64, 64))


def test_a_function_computes_what_it_says() -> None:
    power = Compiled(lambda number, power: number**power, static_argnames="power")
    assert power(jnp.asarray(3.0), power=2) == 9.0
    assert power(jnp.asarray(3.0), power=3) == 27.0


def options_of(argument: jax.Array) -> dict[str, Any]:
    return chosen_options(jax.jit(lambda matrix: jnp.tanh(matrix) @ matrix).trace(argument).jaxpr.jaxpr)


@pytest.mark.parametrize("avx512", [False, True])
def test_products_suit_the_processor_unless_batches_of_matrices_are_multiplied(
    avx512: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "has_avx512", lambda: avx512)
    assert options_of(LARGE_MATRIX) == FEWER_COPIES | (FUSED_YNNPACK if avx512 else EIGEN)
    assert options_of(MATRIX) == FEWER_COPIES | EIGEN
    assert options_of(BATCH) == FEWER_COPIES
    text = Compiled(lambda matrix: jnp.tanh(matrix) @ matrix).lower(LARGE_MATRIX).compile().as_text()
    assert text is not None
    assert ("ynn_fusion" in text) == avx512


@pytest.mark.parametrize(("units", "library"), [(128, EIGEN), (192, FUSED_YNNPACK)])
def test_products_of_a_batch_of_256_are_large_from_192_units_on(
    units: int, library: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "has_avx512", lambda: True)
    program = jax.jit(lambda layer: jnp.ones((256, units)) @ layer).trace(jnp.ones((units, units))).jaxpr.jaxpr
    assert chosen_options(program) == FEWER_COPIES | library


@pytest.mark.parametrize(("updates", "library"), [(1, FUSED_YNNPACK), (80, EIGEN)])
def test_what_most_products_need_counts_and_not_a_single_large_one(
    updates: int, library: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As PPO does: one pass over the whole chunk, and then many updates with small parts of it.
    monkeypatch.setattr(compilation, "has_avx512", lambda: True)

    def learn(chunk: jax.Array, layer: jax.Array) -> jax.Array:
        def update(layer: jax.Array, _: None) -> tuple[jax.Array, None]:
            return layer + chunk[:64].T @ (chunk[:64] @ layer), None

        return jnp.sum(chunk @ layer) + jax.lax.scan(update, layer, length=updates)[0]

    program = jax.jit(learn).trace(jnp.ones((2048, 64)), jnp.ones((64, 64))).jaxpr.jaxpr
    assert chosen_options(program) == FEWER_COPIES | library


def test_products_are_found_in_loops_and_branches_and_behind_vmap() -> None:
    def looped(matrix: jax.Array) -> jax.Array:
        def step(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
            return jax.lax.cond(carry.ravel()[0] > 0, lambda: carry @ carry, lambda: carry), None

        return jax.lax.scan(step, matrix, length=2)[0]

    def found(function: object, argument: jax.Array) -> tuple[bool, int, int]:
        program = jax.jit(function).trace(argument).jaxpr.jaxpr  # type: ignore[call-overload]
        ((product, times),) = matrix_products(program)
        return is_of_batches(product), multiplications(product), times

    assert found(looped, BATCH) == (True, 8 * 64**3, 2)
    assert found(looped, MATRIX) == (False, 64**3, 2)
    assert found(jax.vmap(lambda matrix: matrix @ matrix), BATCH) == (True, 8 * 64**3, 1)
    assert found(lambda matrix: matrix @ jnp.ones((64, 5)), MATRIX) == (False, 64 * 64 * 5, 1)
    assert found(lambda batch: batch @ MATRIX, BATCH) == (False, 8 * 64**3, 1)


def test_a_function_is_traced_once() -> None:
    traces = 0

    def traced(matrix: jax.Array) -> jax.Array:
        nonlocal traces
        traces += 1
        return matrix @ matrix

    function = Compiled(traced)
    function(MATRIX)
    function(MATRIX + 1)
    assert traces == 1


def test_arguments_are_donated() -> None:
    state = jnp.ones(4) + 1
    Compiled(lambda state: state + 1, donate_argnums=0)(state)
    assert state.is_deleted()


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "FEWER_COPIES", {"xla_cpu_of_another_time": True})
    monkeypatch.setattr(compilation, "has_avx512", lambda: False)
    assert not is_known(xla_cpu_of_another_time=True)
    assert options_of(MATRIX) == EIGEN
    assert Compiled(lambda number: number + 1)(1) == 2
