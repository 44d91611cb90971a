"""Compiling with options: what XLA does not know is left out."""

import jax.numpy as jnp
import pytest

from triax import compilation
from triax.compilation import compiled, known_options


def test_a_function_computes_what_it_says() -> None:
    assert compiled(lambda number, power: number**power, static_argnames="power")(jnp.asarray(3.0), power=2) == 9.0


def test_the_options_are_known_to_this_version_of_xla() -> None:
    assert known_options() == dict(compilation.OPTIONS)


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    known_options.cache_clear()
    monkeypatch.setattr(compilation, "OPTIONS", {**compilation.OPTIONS, "xla_cpu_of_another_time": "true"})
    try:
        names = list(known_options())
        assert compiled(lambda number: number + 1)(1) == 2
    finally:
        known_options.cache_clear()
    assert names == ["xla_cpu_experimental_ynn_fusion_type"]
