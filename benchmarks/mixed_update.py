"""What an update of SAC costs with mixed actions, beside one with a Box of the same number of parameters, in turns.

    python benchmarks/mixed_update.py --output results/mixed_update.jsonl

Both have the same networks, batches of 256 and an observation of 17 numbers. The mixed action is a choice of three with
two continuous parameters each, so that every critic is evaluated three times where the Box needs one evaluation. The
bar: at most 2.5 times the time of a Box update.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

import triax
from triax.compilation import Compiled
from triax.random import derive_generator, derive_key
from triax.runs import environment_description
from triax.types import EnvironmentSpec, RowOrigin, Transitions

BATCH, OBSERVATION, PARAMETERS, CHOICES = 256, 17, 2, 3
UPDATES_PER_CALL = 8
BOX = gymnasium.spaces.Box(-1.0, 1.0, (PARAMETERS,), np.float32)
ACTIONS: dict[str, gymnasium.Space[Any]] = {
    "box": BOX,
    "mixed": gymnasium.spaces.Dict(choice=gymnasium.spaces.Discrete(CHOICES), move=BOX),
}

Updates = Callable[[Any], Any]


def updates_of(*, name: str) -> tuple[Updates, Any]:
    """Compile some updates.

    :param name: of the action space.
    :return: a function from a learner's state to the state after some updates, and the first state.
    """
    spec = EnvironmentSpec.of_spaces(
        observation=gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATION,), np.float32), action=ACTIONS[name]
    )
    learner = triax.SACConfig().build(observation_spec=spec.observation, action_spec=spec.action)
    generator = derive_generator(seed=0, name=("batch",))
    rows = (UPDATES_PER_CALL, BATCH)
    move = generator.uniform(-1.0, 1.0, (*rows, PARAMETERS)).astype(np.float32)
    choice = generator.integers(CHOICES, size=rows).astype(np.int32)
    zeros = np.zeros(rows, np.int32)
    batches = Transitions(
        observation=generator.normal(size=(*rows, OBSERVATION)).astype(np.float32),
        action=move if name == "box" else {"choice": choice, "move": move},
        reward=generator.normal(size=rows).astype(np.float32),
        discount=np.full(rows, 0.99, np.float32),
        next_observation=generator.normal(size=(*rows, OBSERVATION)).astype(np.float32),
        weight=np.ones(rows, np.float32),
        extras={},
        origin=RowOrigin(source=zeros, task=zeros, slot=zeros, generation=zeros, policy_version=zeros),
    )
    batches = jax.device_put(batches)

    def run(state: Any) -> Any:
        def one(state: Any, batch: Transitions) -> tuple[Any, None]:
            key = derive_key(seed=0, name=("update",))
            return learner.update(state=state, batch=batch, key=jax.random.fold_in(key, state.updates))[0], None

        return jax.lax.scan(one, state, batches)[0]

    state = jax.jit(lambda key: learner.initial_state(key=key))(derive_key(seed=0, name=("networks",)))
    updates = Compiled(run, donate_argnums=0)
    return updates, finished(updates(state))


def finished(state: Any) -> Any:
    """Wait until a state is there.

    :param state: arrays on the device.
    :return: the same.
    """
    jax.tree.leaves(state)[0].block_until_ready()
    return state


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (default: 15)")
    parser.add_argument(
        "--calls", type=int, default=10, help=f"calls of {UPDATES_PER_CALL} updates a turn (default: 10)"
    )
    parser.add_argument("--output", type=Path, help="a file of JSON lines to add the result to")
    arguments = parser.parse_args()
    functions, states = {}, {}
    for name in ACTIONS:
        functions[name], states[name] = updates_of(name=name)
    seconds: dict[str, list[float]] = {name: [] for name in ACTIONS}
    for number in range(arguments.rounds):
        for name in ACTIONS if number % 2 == 0 else reversed(ACTIONS):
            begin = time.perf_counter()
            for _ in range(arguments.calls):
                states[name] = functions[name](states[name])
            finished(states[name])
            seconds[name].append(time.perf_counter() - begin)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(states["mixed"].critics))
    updates = arguments.calls * UPDATES_PER_CALL
    row = {
        "measured": "seconds of an update with mixed actions, as a multiple of one with a Box",
        "command": f"python benchmarks/mixed_update.py --rounds {arguments.rounds} --calls {arguments.calls}",
        "date": date.today().isoformat(),
        "machine": environment_description().to_json(),
        "choices": CHOICES,
        "updates_per_second": {name: round(updates / statistics.median(taken), 1) for name, taken in seconds.items()},
        "ratio": round(statistics.median(b / a for a, b in zip(seconds["box"], seconds["mixed"], strict=True)), 3),
        "ratio_of_fastest": round(min(seconds["mixed"]) / min(seconds["box"]), 3),
    }
    print(json.dumps(row, indent=2))
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        with arguments.output.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
