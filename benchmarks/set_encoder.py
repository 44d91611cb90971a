"""
The encoder of sets beside its own matrix products: how much of an update is arithmetic that nobody can avoid.

An update here is the encoder forward and backward, with the mean square of the pooled vectors for a loss, and Adam. The
bound is the matrix products of the same update and nothing else: of each linear layer forward, the gradient of its
weights, and the gradient of its input (but for the first layer's); of attention the products of each head's small
matrices, two forward and four backward, none of them transposed. Left out, though no update can do without:
normalisation, softmax, masks, activations, biases, sums of residuals, copies that bring heads together, pooling, Adam.

Further rows are what the encoder would be if JAX derived the backward pass of normalisation, of attention, of both.

All take turns in one run. Where other work runs beside it, the seconds that one processor spent say more than the clock
on the wall:

    python benchmarks/set_encoder.py --output results/set_encoder.jsonl
    taskset -c 0 python benchmarks/set_encoder.py --clock processor --output results/set_encoder.jsonl
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import optax

from triax.compilation import Compiled
from triax.networks import FunctionalNetwork, sets
from triax.networks.attention import normalise, self_attention
from triax.networks.sets import SetEncoderConfig
from triax.random import derive_generator, derive_key
from triax.runs import environment_description

UPDATES_PER_CALL = 4
"""
Updates in one compiled loop.
"""

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}

DERIVED = {
    "normalisation_derived": {"normalise": normalise.fun},
    "attention_derived": {"self_attention": self_attention.fun},
    "both_derived": {"normalise": normalise.fun, "self_attention": self_attention.fun},
}
"""
What stands in place of which functions of `triax.networks.sets`: the same forward, without its own backward.
"""

Step = Callable[[Any, jax.Array], tuple[Any, Any]]
"""
One update, as `jax.lax.scan` wants it.
"""


def normal(*shape: int) -> jax.Array:
    """
    :param shape: of the result.
    :return: random numbers.
    """
    generator = derive_generator(seed=0, name=("set encoder", *shape))
    return jnp.asarray(generator.standard_normal(shape), dtype=jnp.float32)


def encoder_update(*, config: SetEncoderConfig, maximum: int, features: int) -> tuple[Step, Any]:
    """
    :param config: of the encoder.
    :param maximum: places for elements.
    :param features: numbers in an element.
    :return: an update, and the weights with Adam's state that it begins with.
    """
    network = FunctionalNetwork(make=lambda rngs: config.build(maximum=maximum, features=features, rngs=rngs))
    optimiser = optax.adam(3e-4)

    def update(state: Any, value: jax.Array) -> tuple[Any, Any]:
        parameters, optimiser_state = state
        gradients = jax.grad(lambda given: jnp.mean(network.bind(parameters=given)(value).pooled ** 2))(parameters)
        changes, optimiser_state = optimiser.update(gradients, optimiser_state)
        return (optax.apply_updates(parameters, changes), optimiser_state), None

    parameters = network.initial_parameters(key=derive_key(seed=0, name=("set encoder",)))
    return update, (parameters, optimiser.init(parameters))


def product_shapes(*, config: SetEncoderConfig, features: int) -> list[tuple[int, int]]:
    """
    :param config: of the encoder.
    :param features: numbers in an element.
    :return: inputs and outputs of each linear layer that sees every element, in order.
    """
    units, inner = config.units, config.feed_forward * config.units
    # Queries, keys and values apart: in one, something would have to take them apart, and put gradients together.
    block = [(units, units)] * 4 + [(units, inner), (inner, units)]
    return [(features, units), *block * config.blocks]


def products_update(*, config: SetEncoderConfig, maximum: int, features: int) -> tuple[Step, Any]:
    """
    :param config: of the encoder.
    :param maximum: places for elements.
    :param features: numbers in an element.
    :return: the products of an update, and the weights with their gradients that it begins with.
    """
    shapes = product_shapes(config=config, features=features)
    weights = [normal(index, *shape)[0] / shape[0] ** 0.5 for index, shape in enumerate(shapes, start=1)]
    width = config.units // config.heads

    def by_head(rows: jax.Array) -> jax.Array:
        # The right amount of numbers in the right shape, without the copy that would bring the right ones there.
        return jnp.reshape(rows, (-1, maximum, width))

    def update(state: Any, value: jax.Array) -> tuple[Any, Any]:
        weights, _ = state
        inputs = jnp.reshape(value[..., :-1], (-1, features))
        hidden = inputs @ weights[0]
        layers, outputs = [inputs], []
        for first in range(1, len(weights), 6):
            queries, keys, values = (hidden @ weight for weight in weights[first : first + 3])
            mixed = by_head(queries) @ jnp.reshape(keys, (-1, width, maximum))
            attended = jnp.reshape(mixed @ by_head(values), hidden.shape)
            mixture = attended @ weights[first + 3]
            expansion = mixture @ weights[first + 4]
            layers += [hidden, hidden, hidden, attended, mixture, expansion]
            outputs.append((queries, keys, values, mixed))
            hidden = expansion @ weights[first + 5]
        gradients: list[jax.Array] = []
        direction = hidden
        for first in reversed(range(1, len(weights), 6)):
            queries, keys, values, mixed = outputs[first // 6]
            of_layers = [direction]
            for offset in (5, 4, 3):
                of_layers.insert(0, of_layers[0] @ weights[first + offset].T)
            attended = of_layers.pop(0)
            of_mixed = by_head(attended) @ jnp.reshape(values, (-1, width, maximum))
            of_values = jnp.reshape(attended, (-1, width, maximum)) @ mixed
            of_queries = of_mixed @ by_head(keys)
            of_keys = jnp.reshape(queries, (-1, width, maximum)) @ of_mixed
            projections = [jnp.reshape(given, hidden.shape) for given in (of_queries, of_keys, of_values)]
            direction = sum(
                (given @ weight.T for given, weight in zip(projections, weights[first : first + 3], strict=True)),
                start=jnp.zeros(()),
            )
            block = layers[first : first + 6]
            gradients[:0] = [layer.T @ given for layer, given in zip(block, projections + of_layers, strict=True)]
        gradients.insert(0, layers[0].T @ direction)
        return (weights, gradients), None

    return update, (weights, weights)


def meter(*, update: Step, state: Any, values: jax.Array, clock: Callable[[], float]) -> Callable[[], float]:
    """
    :param update: what is measured.
    :param state: what it begins with.
    :param values: sets, with a leading axis of updates.
    :param clock: seconds.
    :return: from nothing to updates a second. All is compiled.
    """
    updates = Compiled(lambda given, inputs: jax.lax.scan(update, given, inputs)[0]).lower(state, values).compile()

    def measure() -> float:
        started = clock()
        for array in jax.tree.leaves(updates(state, values)):
            array.block_until_ready()
        return UPDATES_PER_CALL / (clock() - started)

    measure()
    return measure


def summarise(rounds: list[dict[str, float]]) -> dict[str, float]:
    """
    :param rounds: the rate of each meter in each round; "bound" among them.
    :return: of each meter the median and the fastest rate, and their ratios to the bound's: the median of the rounds'
        ratios, and the ratio of the fastest rates.
    """
    summary: dict[str, float] = {}
    for name in rounds[0]:
        rates = [row[name] for row in rounds]
        summary |= {f"{name}_median": round(statistics.median(rates), 1), f"{name}_fastest": round(max(rates), 1)}
    for name in rounds[0]:
        if name != "bound":
            ratio = statistics.median(row[name] / row["bound"] for row in rounds)
            summary[f"{name}_to_bound_median"] = round(ratio, 3)
            summary[f"{name}_to_bound_fastest"] = round(summary[f"{name}_fastest"] / summary["bound_fastest"], 3)
    return summary


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--maximum", type=int, default=16, help="elements in a set; sets are full (default: 16)")
    parser.add_argument("--features", type=int, default=10, help="numbers in an element (default: 10)")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--feed-forward", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=100, help="of turns (default: 100)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--output", type=Path, help="a file of JSON rows to append to")
    arguments = parser.parse_args()
    config = SetEncoderConfig(
        blocks=arguments.blocks, units=arguments.units, feed_forward=arguments.feed_forward, activation="relu"
    )
    sizes = {"maximum": arguments.maximum, "features": arguments.features}
    values = normal(UPDATES_PER_CALL, arguments.batch_size, arguments.maximum, arguments.features + 1)
    values = values.at[..., -1].set(1.0)

    def made(function: Callable[..., tuple[Step, Any]], **others: Any) -> Callable[[], float]:
        with contextlib.ExitStack() as stack:
            for name, other in others.items():
                stack.enter_context(mock.patch.object(sets, name, other))
            update, state = function(config=config, **sizes)
            return meter(update=update, state=state, values=values, clock=CLOCKS[arguments.clock])

    meters = {"ours": made(encoder_update), "bound": made(products_update)}
    meters |= {name: made(encoder_update, **others) for name, others in DERIVED.items()}
    rounds: list[dict[str, float]] = []
    for number in range(arguments.rounds):
        # Whoever comes first may profit from a rest or suffer from what ran before: the order turns.
        names = list(meters)[number % len(meters) :] + list(meters)[: number % len(meters)]
        rates = {name: meters[name]() for name in names}
        rounds.append({name: round(rates[name], 2) for name in meters})
    summary = summarise(rounds)
    print(json.dumps(summary, indent=1))
    if arguments.output is not None:
        document = {
            "what": "set_encoder",
            "settings": {name: given for name, given in vars(arguments).items() if name != "output"},
            "date": date.today().isoformat(),
            "summary": summary,
            "rounds": rounds,
            "machine": environment_description().to_json(),
        }
        with arguments.output.open("a") as file:
            file.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
