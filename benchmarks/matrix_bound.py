"""
How many of SAC's updates per second a machine could do if an update were its matrix products and nothing else.

A learner cannot be faster than this with the same sizes in the same precision, so the bound says how much of an update
is arithmetic that no library can avoid, and how much is the rest. Give it the same machine at the same time: other
work on it, or fewer cores, lowers the bound as it lowers the learner.

The products of one update, with batch B, observations of o numbers, actions of a, hidden layers of h (here two), and
for each of n critics (two):

===========================  ============================  =======  ================
what                         hidden, B x h x h             input    output
===========================  ============================  =======  ================
next actions                 actor forward                 o to h   h to 2a
next values                  target critics forward, n     o+a to h h to 1
values                       critics forward, n            o+a to h h to 1
critics' gradients           weights n, hidden inputs n    weights  weights, inputs
actions                      actor forward                 o to h   h to 2a
values of the actions        critics forward, n            o+a to h h to 1
gradient to the actions      hidden inputs n               h to a   inputs
actor's gradients            weights 1, hidden inputs 1    weights  weights, inputs
===========================  ============================  =======  ================

With n = 2 the hidden column is 1 + 2 + 2 + 4 + 1 + 2 + 2 + 2 = 16 products of B x h x h. The input and output columns
amount to as much arithmetic as one more or so, as wide as observations and actions are (HalfCheetah: 1.2 with 256
units). What a clever program may leave out is left out: no gradient flows to the observations, to the
critics' parameters from the actor's loss, or to the targets.

Left out as well, though no update can do without: activations, biases, sampling, losses, temperature, Adam, the moving
average of the targets, and the batch's way from the replay buffer.

    python benchmarks/matrix_bound.py --observation-dim 17 --action-dim 6
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from triax.compilation import Compiled

UPDATES_PER_CALL = 64
"""
Updates in one compiled loop, so that the time it takes to call it does not count.
"""

Weights = tuple[jax.Array, ...]
"""
The matrices of a network, from its input to its output; no biases.
"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Products:
    """
    The networks, and the latest gradients: carried through the loop, so that no product in it is without use.

    :param actor: the actor's matrices.
    :param critics: each critic's matrices.
    :param targets: each target critic's matrices.
    :param actor_gradients: of the actor's matrices.
    :param critics_gradients: of each critic's matrices.
    :param next_values: what the critics' targets would be made of.
    """

    actor: Weights
    critics: tuple[Weights, ...]
    targets: tuple[Weights, ...]
    actor_gradients: Weights
    critics_gradients: tuple[Weights, ...]
    next_values: tuple[jax.Array, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Batch:
    """
    Transitions; new ones in each round of the loop, so that no product can be moved out of it.

    :param observations: [B, o].
    :param actions: [B, a].
    :param next_observations: [B, o].
    """

    observations: jax.Array
    actions: jax.Array
    next_observations: jax.Array


def forward(weights: Weights, inputs: jax.Array) -> tuple[jax.Array, ...]:
    """
    :param weights: of a network.
    :param inputs: [B, inputs].
    :return: what goes into each layer, and last the output.
    """
    layers = [inputs]
    for weight in weights:
        layers.append(layers[-1] @ weight)
    return tuple(layers)


def backward(weights: Weights, output_gradient: jax.Array) -> tuple[jax.Array, ...]:
    """
    :param weights: of a network.
    :param output_gradient: [B, outputs].
    :return: the gradient of each layer's output, from the first layer's to the last's. Not that of the input.
    """
    gradients = [output_gradient]
    for weight in reversed(weights[1:]):
        gradients.insert(0, gradients[0] @ weight.T)
    return tuple(gradients)


def weight_gradients(layers: tuple[jax.Array, ...], gradients: tuple[jax.Array, ...]) -> Weights:
    """
    :param layers: what `forward` returned.
    :param gradients: what `backward` returned.
    :return: the gradient of each matrix.
    """
    return tuple(layer.T @ gradient for layer, gradient in zip(layers[:-1], gradients, strict=True))


def one_update(products: Products, batch: Batch) -> tuple[Products, None]:
    """
    The products of one update, in an update's order: those that need others' results come after them.

    Where an update has a loss between forward and backward, an output stands here for its own gradient.

    :param products: networks.
    :param batch: transitions.
    :return: the same networks with the new gradients; and nothing, as `jax.lax.scan` wants it.
    """
    observation_dim, action_dim = batch.observations.shape[1], batch.actions.shape[1]

    next_actions = forward(products.actor, batch.next_observations)[-1][:, :action_dim]
    next_inputs = jnp.concatenate([batch.next_observations, next_actions], axis=1)
    next_values = tuple(forward(target, next_inputs)[-1] for target in products.targets)

    inputs = jnp.concatenate([batch.observations, batch.actions], axis=1)
    critics_gradients = []
    for critic, next_value in zip(products.critics, next_values, strict=True):
        layers = forward(critic, inputs)
        critics_gradients.append(weight_gradients(layers, backward(critic, layers[-1] - next_value)))

    actor_layers = forward(products.actor, batch.observations)
    actor_inputs = jnp.concatenate([batch.observations, actor_layers[-1][:, :action_dim]], axis=1)
    action_gradient = jnp.zeros_like(batch.actions)
    for critic in products.critics:
        first_layer = backward(critic, forward(critic, actor_inputs)[-1])[0]
        action_gradient += first_layer @ critic[0][observation_dim:].T
    # Mean and spread of the actor's distribution.
    output_gradient = jnp.concatenate([action_gradient, action_gradient], axis=1)
    actor_gradients = weight_gradients(actor_layers, backward(products.actor, output_gradient))

    new_products = Products(
        actor=products.actor,
        critics=products.critics,
        targets=products.targets,
        actor_gradients=actor_gradients,
        critics_gradients=tuple(critics_gradients),
        next_values=next_values,
    )
    return new_products, None


def many_updates(products: Products, batches: Batch) -> Products:
    """
    :param products: networks.
    :param batches: transitions, with a leading axis of updates.
    :return: the networks with the last gradients.
    """
    return jax.lax.scan(one_update, products, batches)[0]


def floating_point_operations(
    *, observation_dim: int, action_dim: int, hidden: tuple[int, ...], batch_size: int, critics: int
) -> int:
    """
    Count the table above, a multiplication and an addition as two.

    :param observation_dim: numbers in an observation.
    :param action_dim: numbers in an action.
    :param hidden: units of each hidden layer of actor and critics.
    :param batch_size: transitions in a batch.
    :param critics: how many there are.
    :return: the operations in one update's products.
    """
    inner = sum(units * next_units for units, next_units in pairwise(hidden))
    actor_input, actor_output = observation_dim * hidden[0], hidden[-1] * 2 * action_dim
    critic_input, critic_output = (observation_dim + action_dim) * hidden[0], hidden[-1]
    # Times forward, backward to inputs, and backward to weights.
    of_actor = (2 + 1) * actor_input + (2 + 1 + 1) * inner + (2 + 1 + 1) * actor_output
    of_critic = (3 + 1) * critic_input + (3 + 2 + 1) * inner + (3 + 2 + 1) * critic_output + action_dim * hidden[0]
    return 2 * batch_size * (of_actor + critics * of_critic)


def make_arguments(
    *, observation_dim: int, action_dim: int, hidden: tuple[int, ...], batch_size: int, critics: int
) -> tuple[Products, Batch]:
    """
    :param observation_dim: numbers in an observation.
    :param action_dim: numbers in an action.
    :param hidden: units of each hidden layer of actor and critics.
    :param batch_size: transitions in a batch.
    :param critics: how many there are.
    :return: random networks and `UPDATES_PER_CALL` random batches.
    """
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(generator.standard_normal(shape), dtype=jnp.float32)

    def network(*widths: int) -> Weights:
        # Scaled so that numbers keep their size from layer to layer: denormal and infinite ones have other speeds.
        return tuple(normal(rows, columns) / rows**0.5 for rows, columns in pairwise(widths))

    def critic_networks() -> tuple[Weights, ...]:
        return tuple(network(observation_dim + action_dim, *hidden, 1) for _ in range(critics))

    actor = network(observation_dim, *hidden, 2 * action_dim)
    products = Products(
        actor=actor,
        critics=critic_networks(),
        targets=critic_networks(),
        actor_gradients=actor,
        critics_gradients=critic_networks(),
        next_values=tuple(normal(batch_size, 1) for _ in range(critics)),
    )
    batches = Batch(
        observations=normal(UPDATES_PER_CALL, batch_size, observation_dim),
        actions=normal(UPDATES_PER_CALL, batch_size, action_dim),
        next_observations=normal(UPDATES_PER_CALL, batch_size, observation_dim),
    )
    return products, batches


def matrix_products_meter(
    *, observation_dim: int, action_dim: int, hidden: tuple[int, ...], batch_size: int, critics: int
) -> Callable[[int], float]:
    """
    Make a meter of one update's matrix products on JAX's default device. All is compiled when it returns.

    :param observation_dim: numbers in an observation.
    :param action_dim: numbers in an action.
    :param hidden: units of each hidden layer of actor and critics.
    :param batch_size: transitions in a batch.
    :param critics: how many there are.
    :return: from updates, rounded up to calls of `UPDATES_PER_CALL`, to updates a second.
    """
    products, batches = make_arguments(
        observation_dim=observation_dim,
        action_dim=action_dim,
        hidden=hidden,
        batch_size=batch_size,
        critics=critics,
    )
    updates = Compiled(many_updates).lower(products, batches).compile()

    def measure(amount: int) -> float:
        calls = -(-amount // UPDATES_PER_CALL)
        start = time.perf_counter()
        for _ in range(calls):
            for array in jax.tree.leaves(updates(products, batches)):
                array.block_until_ready()
        return calls * UPDATES_PER_CALL / (time.perf_counter() - start)

    measure(1)
    return measure


def main() -> None:
    """Print the bound as a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observation-dim", type=int, default=17)
    parser.add_argument("--action-dim", type=int, default=6)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--critics", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    sizes = vars(parser.parse_args())
    sizes["hidden"] = tuple(sizes["hidden"])
    repeats = sizes.pop("repeats")
    measure = matrix_products_meter(**sizes)
    rates = [measure(UPDATES_PER_CALL) for _ in range(repeats)]
    operations = floating_point_operations(**sizes)
    row = {
        **sizes,
        "repeats": repeats,
        "updates_per_second": round(statistics.median(rates), 1),
        "fastest": round(max(rates), 1),
        "operations_per_update": operations,
        "gigaflops": round(operations * max(rates) / 1e9, 1),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
