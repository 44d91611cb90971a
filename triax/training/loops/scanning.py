"""A scan over updates that draws the random numbers of all of them at once.

What an update draws depends on its key alone, and a random generator is faster at many numbers than at a few: SAC with
a batch of 256 and 6 actions draws 1536 at a time, which takes longer to begin than to do. So the equations of an update
that depend on nothing but its key are computed for all updates together, ahead of the scan over the rest. The numbers
are the same as if each update drew its own.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

from triax.random import KeyArray
from triax.trees import Tree


def scan_drawing_ahead(
    step: Callable[[Tree, Tree, KeyArray], tuple[Tree, Tree]], *, state: Tree, batches: Tree, keys: KeyArray
) -> tuple[Tree, Tree]:
    """Compute what ``jax.lax.scan`` would, over batches and keys.

    :param step: from state, batch and key to the new state and an output.
    :param state: the first.
    :param batches: arrays with a leading axis of steps.
    :param keys: one for each step.
    :return: the last state, and the outputs with a leading axis of steps.
    """
    batch, key = jax.tree.map(lambda leaf: leaf[0], (batches, keys))
    program, results = jax.make_jaxpr(step, return_shape=True)(state, batch, key)
    ahead, rest = split_at_key(program)
    drawn = jax.vmap(jaxpr_as_fun(ahead))(keys)

    def scanned(state: Tree, inputs: tuple[Tree, list[jax.Array]]) -> tuple[Tree, Tree]:
        batch, drawn = inputs
        new_state, output = evaluate(rest, state, batch, drawn, results=results)
        return new_state, output

    return jax.lax.scan(scanned, state, (batches, drawn))


def evaluate(program: ClosedJaxpr, *arguments: Tree, results: Tree) -> Tree:
    """Compute what a function would that was traced before, without another trace of it.

    :param program: what JAX traced.
    :param arguments: structured as those it was traced with.
    :param results: structured as what the function returns.
    :return: what the function returns.
    """
    return jax.tree.unflatten(jax.tree.structure(results), jaxpr_as_fun(program)(*jax.tree.leaves(arguments)))


def split_at_key(program: ClosedJaxpr) -> tuple[ClosedJaxpr, ClosedJaxpr]:
    """Split a program whose last argument is a key.

    :param program: what JAX traced.
    :return: a program from the key to all that follows from it alone, and one from the other arguments and that to what
        the program returns.
    """
    whole = program.jaxpr
    *others, key = whole.invars
    from_key, constant = {key}, set(whole.constvars)
    ahead: list[JaxprEqn] = []
    rest: list[JaxprEqn] = []
    for equation in whole.eqns:
        inputs = set(_variables(equation.invars))
        if inputs <= constant and not equation.effects:
            # It costs next to nothing; whichever program has no use for it loses it when it is compiled.
            constant.update(equation.outvars)
            ahead.append(equation)
            rest.append(equation)
        elif inputs <= constant | from_key and not equation.effects:
            from_key.update(equation.outvars)
            ahead.append(equation)
        else:
            rest.append(equation)
    used = [variable for equation in rest for variable in _variables(equation.invars)] + _variables(whole.outvars)
    drawn = [variable for variable in dict.fromkeys(used) if variable in from_key]
    return (
        ClosedJaxpr(whole.replace(invars=[key], outvars=drawn, eqns=ahead), program.consts),
        ClosedJaxpr(whole.replace(invars=[*others, *drawn], eqns=rest), program.consts),
    )


def _variables(atoms: Iterable[Any]) -> list[Var]:
    return [atom for atom in atoms if not isinstance(atom, Literal)]
