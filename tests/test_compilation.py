"""Compiling with options: what suits a program is chosen from its trace, and it is traced once."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from triax import compilation
from triax.compilation import EIGEN, FEWER_COPIES, FUSED_YNNPACK, Compiled, chosen_options, is_known, multiplies_batches

MATRIX = jnp.ones((64, 64))
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
    assert options_of(MATRIX) == FEWER_COPIES | (FUSED_YNNPACK if avx512 else EIGEN)
    assert options_of(BATCH) == FEWER_COPIES
    text = Compiled(lambda matrix: jnp.tanh(matrix) @ matrix).lower(MATRIX).compile().as_text()
    assert text is not None
    assert ("ynn_fusion" in text) == avx512


def test_products_of_batches_are_found_in_loops_and_branches_and_behind_vmap() -> None:
    def looped(matrix: jax.Array) -> jax.Array:
        def step(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
            return jax.lax.cond(carry[0, 0, 0] > 0, lambda: carry @ carry, lambda: carry), None

        return jax.lax.scan(step, matrix, length=2)[0]

    def found(function: object, argument: jax.Array) -> bool:
        return multiplies_batches(jax.jit(function).trace(argument).jaxpr.jaxpr)  # type: ignore[call-overload]

    assert found(looped, BATCH)
    assert found(jax.vmap(lambda matrix: matrix @ matrix), BATCH)
    assert not found(lambda matrix: matrix @ matrix, MATRIX)
    assert not found(lambda batch: batch @ MATRIX, BATCH)


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
