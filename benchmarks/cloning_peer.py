"""Cloning beside the package imitation: the same demonstrations, sizes and number of updates, in one run.

    benchmarks/set_up_imitation.sh     # once: imitation in an environment of its own
    python benchmarks/cloning_peer.py --output results/cloning_peer.jsonl

Speed: ours is ``triax.train``, as it is, by the times of the run's own log after its first row, so that compilation is
left out. The peer takes part in three ways: with its own loader of batches, as its documentation shows; with batches
that its user makes, which is faster; and with these in as many threads as there are cores. Each round measures all,
one after the other, and what counts are the ratios of a round. The bound is how many samples a second the update's
matrix products alone would permit.

Returns: for each seed an expert is trained and 20 of its episodes are recorded, unless that is done; both libraries
learn from them, the peer with its own loader, and experts, clones and random actions play the same 100 starts.

We take part in two ways: with our own loss, the squared error, and with the peer's, the likelihood of a Gaussian whose
spread does not depend on the observation (``ours_same_loss``).

Sizes are the defaults of both libraries, and between them Triax's network with smaller batches. Writes a row of
settings, a row of speed for each size, a row of returns for each size and seed, and a summary of each size.
"""

import argparse
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from clone import ENVIRONMENT, RECORDED_EPISODES, ROOT, Returns, play, play_agent, play_randomly, record
from learning import train_seed
from matrix_bound import UPDATES_PER_CALL, backward, forward, weight_gradients
from numpy.typing import NDArray
from peers import Peer
from seeds import write_rows
from speed import wait_for

import triax
from triax.datasets import DatasetConfig, load_dataset
from triax.runs import RunDirectory, environment_description, read_metrics
from triax.statistics import bootstrap_interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """What both libraries are given.

    :ivar hidden: units of each hidden layer.
    :ivar activation: after each of them.
    :ivar batch_size: samples an update.
    :ivar learning_rate: of Adam.
    :ivar updates: that are timed in a measurement of ours: some seconds.
    :ivar peer_updates: the same of the peer's.
    """

    hidden: tuple[int, ...]
    activation: Literal["relu", "tanh"]
    batch_size: int
    learning_rate: float
    updates: int
    peer_updates: int


SIZES = {
    "imitation_defaults": Size(
        hidden=(32, 32), activation="tanh", batch_size=32, learning_rate=1e-3, updates=20_000, peer_updates=400
    ),
    "small_batches": Size(
        hidden=(256, 256), activation="relu", batch_size=64, learning_rate=3e-4, updates=3_000, peer_updates=300
    ),
    "triax_defaults": Size(
        hidden=(256, 256), activation="relu", batch_size=256, learning_rate=3e-4, updates=1_000, peer_updates=200
    ),
}
"""The defaults of imitation's ``BC`` and of ``triax.BCConfig``, and what ``dagger.py`` compares cloning with."""

OURS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours_same_loss": {
        "continuous_loss": "likelihood",
        "actor_head": dataclasses.replace(triax.BCConfig().actor_head, state_dependent_std=False),
    },
}
"""The ways in which we take part, as settings of ``triax.BCConfig``."""

PEERS = {
    "loader": ["--loading", "loader", "--threads", "1"],
    "batches": ["--loading", "batches", "--threads", "1"],
    "batches_threads": ["--loading", "batches", "--threads", str(len(os.sched_getaffinity(0)))],
}
"""The ways in which the peer takes part."""


def experiment(
    *, way: str, size: Size, dataset: DatasetConfig, seed: int, updates: int, log_interval: int
) -> triax.Experiment:
    """Describe our cloning: all is the default that way and size do not say. Nothing is held out, as by the peer.

    :param way: one of :data:`OURS`.
    :param size: of network and batches.
    :param dataset: what to learn from.
    :param seed: of the run.
    :param updates: how many.
    :param log_interval: updates between rows of the log.
    :return: the experiment.
    """
    return triax.Experiment(
        name="cloning_peer",
        learner=triax.BCConfig(
            batch_size=size.batch_size,
            held_out_fraction=0.0,
            actor=triax.NetworkConfig(torso=triax.MLPConfig(hidden=size.hidden, activation=size.activation)),
            optimizer=triax.OptimizerConfig(learning_rate=size.learning_rate),
            **OURS[way],
        ),
        dataset=dataset,
        total_steps=updates,
        seed=seed,
        loop=triax.LoopConfig(log_interval=log_interval, video=False),
    )


def our_rate(*, way: str, size: Size, dataset: DatasetConfig) -> float:
    """Train, and read the rate off the run's own log.

    :param way: one of :data:`OURS`.
    :param size: of network and batches.
    :param dataset: what to learn from.
    :return: samples a second after the first row, which has the compilation in it.
    """
    half = size.updates // 2
    plan = experiment(way=way, size=size, dataset=dataset, seed=0, updates=3 * half, log_interval=half)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        triax.train(experiment=plan, run_directory=run)
        first, *_, last = read_metrics(RunDirectory.open(run))
    return (last.updates - first.updates) * size.batch_size / (last.wall_seconds - first.wall_seconds)


def bound_meter(size: Size) -> Callable[[], float]:
    """Make a meter of the matrix products of an update: 3 observations to the mean and spread of an action.

    :param size: of network and batches.
    :return: gives samples a second.
    """
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(generator.standard_normal(shape), jnp.float32)

    weights = tuple(normal(rows, columns) / rows**0.5 for rows, columns in itertools.pairwise((3, *size.hidden, 2)))
    batches = normal(UPDATES_PER_CALL, size.batch_size, 3), normal(UPDATES_PER_CALL, size.batch_size, 2)

    @jax.jit
    def updates(weights: Any, batches: Any) -> Any:
        def update(_: Any, batch: Any) -> tuple[Any, None]:
            layers = forward(weights, batch[0])
            return weight_gradients(layers, backward(weights, layers[-1] - batch[1])), None

        return jax.lax.scan(update, weights, batches)[0]

    def measure() -> float:
        calls = -(-size.updates // UPDATES_PER_CALL)
        started = time.perf_counter()
        for _ in range(calls):
            wait_for(updates(weights, batches))
        return calls * UPDATES_PER_CALL * size.batch_size / (time.perf_counter() - started)

    wait_for(updates(weights, batches))
    return measure


def start_peer(*, size: Size, demonstrations: Path, options: list[str]) -> Peer:
    """Start the peer.

    :param size: of network and batches.
    :param demonstrations: its file.
    :param options: what else it is told.
    :return: its process.
    """
    told = ["benchmarks/peer_imitation.py", "--demonstrations", str(demonstrations)]
    told += ["--environment", ENVIRONMENT, "--hidden", *map(str, size.hidden), "--activation", size.activation]
    told += ["--batch-size", str(size.batch_size), "--learning-rate", str(size.learning_rate)]
    return Peer(environment=".venv-imitation", arguments=[*told, *options])


def write_demonstrations(*, dataset: DatasetConfig, path: Path) -> None:
    """Write all recorded steps for the peer, in the environment's units.

    :param dataset: the recording.
    :param path: of the file.
    """
    found = load_dataset(dataset)
    steps = found.trajectory.valid
    np.savez(
        path,
        observations=found.observation_spec.batch_to_outside(found.trajectory.observation[:-1][steps]),
        actions=found.action_spec.batch_to_outside(found.trajectory.action[steps]),
    )


def compare_speed(*, name: str, dataset: DatasetConfig, demonstrations: Path, rounds: int) -> dict[str, Any]:
    """Take turns.

    :param name: of the size.
    :param dataset: the recording.
    :param demonstrations: the same for the peer.
    :param rounds: of turns.
    :return: a row of the result: samples a second, and the medians of the rounds' ratios of ours to the others'.
    """
    size = SIZES[name]
    found: list[dict[str, float]] = []
    with contextlib.ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for way, options in PEERS.items():
            peers[way] = start_peer(size=size, demonstrations=demonstrations, options=[*options, "--warm"])
            stack.callback(peers[way].close)
        meters: dict[str, Callable[[], float]] = {
            way: functools.partial(our_rate, way=way, size=size, dataset=dataset) for way in OURS
        }
        meters["bound"] = bound_meter(size)
        meters |= {way: functools.partial(peer.measure, size.peer_updates) for way, peer in peers.items()}
        for number in range(rounds):
            # Whoever comes first may profit from a rest or suffer from what ran before: the order turns.
            turn = number % len(meters)
            rates = {way: meters[way]() for way in [*meters][turn:] + [*meters][:turn]}
            found.append({way: round(rates[way], 1) for way in meters})
            print(name, found[-1], flush=True)
        settings = {way: peer.settings for way, peer in peers.items()}
    return {
        "kind": "speed",
        "size": name,
        "unit": "samples/s",
        "medians": {way: statistics.median(row[way] for row in found) for way in found[0]},
        "ratios": {
            f"{ours} to {theirs}": round(statistics.median(row[ours] / row[theirs] for row in found), 2)
            for ours, theirs in itertools.product(OURS, (*PEERS, "bound"))
        },
        "rounds": found,
        "peers": settings,
    }


def play_peer(*, peer: Peer, starts: int) -> Returns:
    """Play with the peer's deterministic policy, in our environments.

    :param peer: its process.
    :param starts: how many episodes.
    :return: their returns.
    """

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        return np.array(peer.ask(f"act {json.dumps(observations.tolist())}")["actions"], np.float32)

    return play(act=act, starts=starts)


def compare_returns(
    *, name: str, dataset: DatasetConfig, demonstrations: Path, expert: Path, seed: int, updates: int, starts: int
) -> dict[str, Any]:
    """Clone an expert with both libraries, and play.

    :param name: of the size.
    :param dataset: the recording.
    :param demonstrations: the same for the peer.
    :param expert: the expert's run directory.
    :param seed: of both.
    :param updates: of both.
    :param starts: how many episodes.
    :return: a row of the result.
    """
    size = SIZES[name]
    returns: dict[str, Returns] = {}
    for way in OURS:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            plan = experiment(way=way, size=size, dataset=dataset, seed=seed, updates=updates, log_interval=1000)
            triax.train(experiment=plan, run_directory=run)
            returns[way] = play_agent(run_directory=run, starts=starts, checkpoint="last")
    peer = start_peer(size=size, demonstrations=demonstrations, options=["--seed", str(seed)])
    try:
        peer.measure(updates)
        returns["peer"] = play_peer(peer=peer, starts=starts)
    finally:
        peer.close()
    returns["expert"] = play_agent(run_directory=expert, starts=starts)
    returns["random"] = play_randomly(seed=seed, starts=starts)
    row = {"kind": "returns", "size": name, "seed": seed, **compare(returns)}
    print(row, flush=True)
    return row | {"returns": {who: np.round(own, 2).tolist() for who, own in returns.items()}}


def compare(returns: dict[str, Returns]) -> dict[str, Any]:
    """Compare our returns with the peer's on the same starts.

    :param returns: by who made them.
    :return: the means; and of each of ours the mean paired difference, its interval, and its share of the expert's
        distance to random.
    """
    distance = float(np.mean(returns["expert"] - returns["random"]))
    to_peer = {}
    for way in OURS:
        differences = returns[way] - returns["peer"]
        share = round(float(differences.mean()) / distance, 4)
        to_peer[way] = mean_and_interval(differences) | {"share_of_distance_to_random": share}
    return {"means": {who: round(float(own.mean()), 2) for who, own in returns.items()}, "to_peer": to_peer}


def mean_and_interval(differences: Returns) -> dict[str, float]:
    """Say how large differences are.

    :param differences: one or more.
    :return: their mean with its bootstrapped 95 % interval.
    """
    interval = bootstrap_interval(differences)
    return {
        "mean": round(float(differences.mean()), 2),
        "low": round(interval.low, 2),
        "high": round(interval.high, 2),
    }


def summarise(*, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put a size's rows together.

    :param name: of the size.
    :param rows: of the result.
    :return: a row: the returns of all seeds and their paired differences; the same with the seeds' means as what is
        resampled, since clones of a seed have the same policy at all starts; and the ratios of speed.
    """
    speed, *seeds = (row for row in rows if row.get("size") == name)
    returns = {who: np.concatenate([row["returns"][who] for row in seeds]) for who in seeds[0]["returns"]}
    of_seeds = {way: mean_and_interval(np.array([row["to_peer"][way]["mean"] for row in seeds])) for way in OURS}
    return {
        "kind": "summary",
        "size": name,
        "seeds": len(seeds),
        **compare(returns),
        "to_peer_by_seed": of_seeds,
        "speed": speed["ratios"],
    }


def make_parser() -> argparse.ArgumentParser:
    """Make the command line.

    :return: its parser.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to this, less one (5)")
    parser.add_argument("--updates", type=int, default=10_000, help="of each clone (10,000)")
    parser.add_argument("--starts", type=int, default=100, help="episodes of each (100)")
    parser.add_argument("--rounds", type=int, default=11, help="of turns, for speed (11)")
    parser.add_argument("--sizes", choices=list(SIZES), nargs="+", default=list(SIZES), help="(all)")
    parser.add_argument("--experts", type=Path, default=ROOT / "runs" / "learning", help="folder of the experts' runs")
    parser.add_argument("--datasets", type=Path, default=ROOT / "datasets", help="folder of the recordings")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "cloning_peer.jsonl")
    return parser


def main() -> None:
    """Run the command line."""
    arguments = make_parser().parse_args()
    settings: dict[str, Any] = {
        "kind": "settings",
        "command": f"python benchmarks/cloning_peer.py --seeds {arguments.seeds} --updates {arguments.updates} "
        f"--starts {arguments.starts} --rounds {arguments.rounds} --sizes {' '.join(arguments.sizes)}",
        "environment": ENVIRONMENT,
        "recorded_episodes": RECORDED_EPISODES,
        "updates": arguments.updates,
        "starts": arguments.starts,
        "sizes": {name: dataclasses.asdict(SIZES[name]) for name in arguments.sizes},
        "date": date.today().isoformat(),
        "machine": environment_description().to_json(),
        "load_average": [os.getloadavg()],
    }
    rows = [settings]
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            expert = train_seed(name="pendulum_sac", seed=seed, runs=arguments.experts, pin=[], options=[])
            identifier = record(expert=expert, datasets=arguments.datasets, seed=seed)
            dataset = DatasetConfig(id=identifier, root=arguments.datasets)
            demonstrations = Path(folder) / f"{seed}.npz"
            write_demonstrations(dataset=dataset, path=demonstrations)
            for name in arguments.sizes:
                common: dict[str, Any] = {"name": name, "dataset": dataset, "demonstrations": demonstrations}
                if seed == 0:
                    rows.append(compare_speed(**common, rounds=arguments.rounds))
                rows.append(
                    compare_returns(
                        **common, expert=expert, seed=seed, updates=arguments.updates, starts=arguments.starts
                    )
                )
            settings["load_average"].append(os.getloadavg())
    for name in arguments.sizes:
        rows.append(summarise(name=name, rows=rows))
        print(rows[-1])
    write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()
