"""Cloning's objectives, with numbers worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from triax.objectives.cloning import absolute_error, agreement

CHOSEN = jnp.array([[0.5, -0.5], [1.0, 0.0]])
EXPERT = jnp.array([[0.0, -1.0], [-1.0, 0.0]])


def test_continuous_errors_by_hand() -> None:
    # Rows: ½ (0.25 + 0.25) = 0.25 and ½ (4 + 0) = 2; mean distances 0.5 and 1.
    np.testing.assert_allclose(absolute_error(chosen=CHOSEN, expert=EXPERT), [0.5, 1.0])


def test_agreement_by_hand() -> None:
    # Two of three, none of three; single choices have no axis of their own.
    chosen = jnp.array([[0, 1, 2], [0, 0, 0]], jnp.int32)
    expert = jnp.array([[0, 1, 1], [1, 1, 1]], jnp.int32)
    np.testing.assert_allclose(agreement(chosen=chosen, expert=expert), [2 / 3, 0.0], rtol=1e-6)
    np.testing.assert_allclose(agreement(chosen=chosen[:, 0], expert=expert[:, 0]), [1.0, 0.0])


def test_trap_04_columns_against_rows_are_refused() -> None:
    for function in (absolute_error, agreement):
        unchecked = getattr(function, "__wrapped__", function)  # without the tests' annotation checker
        with pytest.raises(ValueError, match="expert has the shape"):
            unchecked(chosen=CHOSEN[:, 0], expert=EXPERT[:, :1])
