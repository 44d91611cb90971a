"""
The peer's side of the comparison of replays: Reverb, with insertion from another process and sampling by its dataset.

    .venv-reverb/bin/python benchmarks/peer_reverb.py serve
    .venv-reverb/bin/python benchmarks/peer_reverb.py tune --writer trajectory structured --chunk-length 0 1 16

`serve` prints a JSON line when it is ready, with the settings, and then answers lines on its input ("insert N",
"sample N", "quit") with JSON lines, so that another program can take turns with it; `tune` prints the rates of all
settings that it is given. README.md beside this file describes the protocol. Processes are as in distributed training:
the learner (this one) samples, the actor inserts, and the server stands in a process of its own or in the learner's.
Runs in Reverb's environment (`set_up_reverb.sh`) and imports nothing of Triax.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, TextIO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded

import numpy as np
import reverb  # type: ignore[import-not-found,unused-ignore]
import tensorflow as tf  # type: ignore[import-not-found,import-untyped,unused-ignore]

OBSERVATION_SIZE = 17
ACTION_SIZE = 6
DISCOUNT = 0.99
EPISODE_STEPS = 1023
"""
Steps of each made-up episode, about as many as HalfCheetah's.
"""

TABLE = "transitions"
SAMPLES_PER_INSERT = 256.0
"""
What the rate limiter is told: a batch for each step. Its buffer is so wide that it counts, but never holds up anyone.
"""

Step = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WriterSettings:
    """
    How the actor inserts.

    :param writer: "trajectory" (items are made in Python) or "structured" (in C++, after a pattern).
    :param layout: "shared": a step is appended with one observation, and an item spans two steps; "whole": each step
        is a whole transition, and an item is one step, so that every observation is stored twice; "packed": the same
        in a single column of 41 floats, observation, action, reward and next observation side by side (the discount
        is left out).
    :param chunk_length: steps in a chunk; 0 leaves it to Reverb. The structured writer always chooses itself.
    :param keep_alive: steps that items may refer to.
    """

    writer: str
    layout: str
    chunk_length: int
    keep_alive: int


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """
    How the learner samples.

    :param samplers: threads that fetch samples; -1 leaves it to Reverb.
    :param in_flight: samples that each of them may have on the way.
    :param prefetch: batches made ahead.
    :param batch_size: transitions in a batch.
    """

    samplers: int
    in_flight: int
    prefetch: int
    batch_size: int

    @property
    def ready_at_most(self) -> int:
        """:return: batches that may lie ready before anyone asks for them."""
        return self.prefetch + max(1, self.samplers) * self.in_flight // self.batch_size + 1


def signature(*, layout: str) -> dict[str, tf.TensorSpec]:
    """
    :param layout: see `WriterSettings`.
    :return: what an item is.
    """
    if layout == "packed":
        return {"transition": tf.TensorSpec((2 * OBSERVATION_SIZE + ACTION_SIZE + 1,), tf.float32, "transition")}
    observations = {"shared": (2, OBSERVATION_SIZE), "whole": (OBSERVATION_SIZE,)}[layout]
    shapes = {"observation": observations, "action": (ACTION_SIZE,), "reward": (), "discount": ()}
    if layout == "whole":
        shapes["next_observation"] = observations
    return {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}


def make_server(*, layout: str, capacity: int) -> reverb.Server:
    """
    :param layout: see `WriterSettings`.
    :param capacity: items that are kept.
    :return: a server with one table, uniform, first in first out, with a rate limiter.
    """
    limiter = reverb.rate_limiters.SampleToInsertRatio(
        samples_per_insert=SAMPLES_PER_INSERT, min_size_to_sample=1000, error_buffer=1e12
    )
    table = reverb.Table(
        name=TABLE,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        max_size=capacity,
        rate_limiter=limiter,
        signature=signature(layout=layout),
    )
    return reverb.Server([table])


def run_server(*, layout: str, capacity: int, link: Connection) -> None:
    """
    Be the server's process, until the other end of the link closes.

    :param layout: see `WriterSettings`.
    :param capacity: items that are kept.
    :param link: gets the port.
    """
    server = make_server(layout=layout, capacity=capacity)
    link.send(server.port)
    _wait_for_end(link)
    server.stop()


def made_up_episode(*, layout: str) -> list[Step]:
    """
    :param layout: see `WriterSettings`.
    :return: the steps to append. Of a shared layout there is one more, for the final observation.
    """
    generator = np.random.default_rng(0)
    observations = generator.normal(size=(EPISODE_STEPS + 1, OBSERVATION_SIZE)).astype(np.float32)
    actions = generator.uniform(-1.0, 1.0, size=(EPISODE_STEPS + 1, ACTION_SIZE)).astype(np.float32)
    rewards = generator.normal(size=EPISODE_STEPS + 1).astype(np.float32)
    steps: list[Step] = [
        {"observation": observation, "action": action, "reward": reward, "discount": np.float32(DISCOUNT)}
        for observation, action, reward in zip(observations, actions, rewards, strict=True)
    ]
    if layout == "shared":
        return steps
    steps = [step | {"next_observation": after["observation"]} for step, after in itertools.pairwise(steps)]
    if layout == "whole":
        return steps
    names = ("observation", "action", "reward", "next_observation")
    return [{"transition": np.concatenate([np.atleast_1d(step[name]) for name in names])} for step in steps]


def trajectory_inserter(*, client: reverb.Client, settings: WriterSettings) -> Callable[[list[Step]], None]:
    """
    :param client: of the server.
    :param settings: how to insert.
    :return: inserts an episode with a `TrajectoryWriter`, and waits until the server has confirmed all of it.
    """
    writer = client.trajectory_writer(num_keep_alive_refs=settings.keep_alive)
    if settings.chunk_length:
        for name in made_up_episode(layout=settings.layout)[0]:
            writer.configure((name,), num_keep_alive_refs=settings.keep_alive, max_chunk_length=settings.chunk_length)

    def insert_shared(steps: list[Step]) -> None:
        for number, step in enumerate(steps):
            writer.append(step)
            if number:
                history = writer.history
                item = {name: history[name][-2] for name in ("action", "reward", "discount")}
                item["observation"] = history["observation"][-2:]
                writer.create_item(TABLE, priority=1.0, trajectory=item)
        writer.end_episode()

    def insert_whole(steps: list[Step]) -> None:
        for step in steps:
            writer.append(step)
            item = {name: column[-1] for name, column in writer.history.items()}
            writer.create_item(TABLE, priority=1.0, trajectory=item)
        writer.end_episode()

    return insert_shared if settings.layout == "shared" else insert_whole


def structured_inserter(*, client: reverb.Client, settings: WriterSettings) -> Callable[[list[Step]], None]:
    """
    :param client: of the server.
    :param settings: how to insert.
    :return: inserts an episode with a `StructuredWriter`, and waits until the server has confirmed all of it.
    """

    def item(step: dict[str, Any]) -> dict[str, Any]:
        if settings.layout != "shared":
            return {name: column[-1] for name, column in step.items()}
        return {name: column[-2:] if name == "observation" else column[-2] for name, column in step.items()}

    structure = dict.fromkeys(made_up_episode(layout=settings.layout)[0])
    pattern = reverb.structured_writer.pattern_from_transform(structure, item)
    writer = client.structured_writer([reverb.structured_writer.create_config(pattern=pattern, table=TABLE)])

    def insert(steps: list[Step]) -> None:
        for step in steps:
            writer.append(step)
        writer.end_episode()

    return insert


def run_actor(*, address: str, settings: WriterSettings, link: Connection) -> None:
    """
    Be the actor's process: insert as many episodes as the link says, and answer with the seconds that took.

    :param address: of the server.
    :param settings: how to insert.
    :param link: to the learner.
    """
    make = {"trajectory": trajectory_inserter, "structured": structured_inserter}[settings.writer]
    insert = make(client=reverb.Client(address), settings=settings)
    episode = made_up_episode(layout=settings.layout)
    _silence_reverb()
    link.send(None)
    while True:
        try:
            episodes = link.recv()
        except EOFError:
            return
        start = time.perf_counter()
        for _ in range(episodes):
            insert(episode)
        link.send(time.perf_counter() - start)


class Replay:
    """
    A server, an actor that inserts into it, and a dataset that samples from it. Filled when it is made.

    :param server: "own" for a process of its own, "learner" for the learner's.
    :param writer: how to insert.
    :param sampler: how to sample.
    :param capacity: items that are kept.
    """

    def __init__(self, *, server: str, writer: WriterSettings, sampler: SamplerSettings, capacity: int) -> None:
        self.settings = {"server": server, "writer": asdict(writer), "sampler": asdict(sampler), "capacity": capacity}
        self._sampler = sampler
        self._processes: list[tuple[Any, Connection]] = []
        self._server: Any = None
        if server == "own":
            link = self._start(run_server, layout=writer.layout, capacity=capacity)
            port = link.recv()
        else:
            self._server = make_server(layout=writer.layout, capacity=capacity)
            port = self._server.port
        address = f"localhost:{port}"
        self._actor = self._start(run_actor, address=address, settings=writer)
        self._actor.recv()
        self.insert(capacity)
        self._batches = self._sample_from(address)

    def insert(self, steps: int) -> dict[str, Any]:
        """
        :param steps: how many to insert, rounded up to whole episodes.
        :return: how many were inserted and confirmed by the server, in what time.
        """
        episodes = -(-steps // EPISODE_STEPS)
        self._actor.send(episodes)
        return _measurement(unit="steps", amount=episodes * EPISODE_STEPS, seconds=self._actor.recv())

    def sample(self, batches: int) -> dict[str, Any]:
        """
        :param batches: how many to draw.
        :return: how many were drawn, in what time. What may lie ready is taken before the clock starts.
        """
        for _ in range(self._sampler.ready_at_most):
            next(self._batches)
        start = time.perf_counter()
        for _ in range(batches):
            next(self._batches)
        return _measurement(unit="batches", amount=batches, seconds=time.perf_counter() - start)

    def close(self) -> None:
        """End the processes."""
        del self._batches
        for process, link in reversed(self._processes):
            link.close()
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
        if self._server is not None:
            self._server.stop()

    def _sample_from(self, address: str) -> Iterator[Any]:
        dataset = reverb.TrajectoryDataset.from_table_signature(
            server_address=address,
            table=TABLE,
            max_in_flight_samples_per_worker=self._sampler.in_flight,
            num_workers_per_iterator=self._sampler.samplers,
        )
        dataset = dataset.batch(self._sampler.batch_size, drop_remainder=True).prefetch(self._sampler.prefetch)
        batches: Iterator[Any] = dataset.as_numpy_iterator()
        return batches

    def _start(self, work: Callable[..., None], **arguments: Any) -> Connection:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=work, kwargs={**arguments, "link": theirs}, daemon=True)
        process.start()
        theirs.close()
        self._processes.append((process, ours))
        return ours


def _measurement(*, unit: str, amount: int, seconds: float) -> dict[str, Any]:
    return {"unit": unit, "amount": amount, "seconds": round(seconds, 4), "rate": round(amount / seconds, 2)}


def _silence_reverb() -> None:
    # It warns, many times an episode, that items wait for confirmation; to flush more often would halve its rate.
    # Python's own errors still come through.
    sys.stderr = os.fdopen(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _wait_for_end(link: Connection) -> None:
    try:
        link.recv()
    except EOFError:
        return


def candidates(arguments: argparse.Namespace) -> Iterator[tuple[str, WriterSettings, SamplerSettings]]:
    """
    :param arguments: of the command line.
    :return: every server, writer and sampler that it names, with one another.
    """
    for server, writer, layout in itertools.product(arguments.server, arguments.writer, arguments.layout):
        for chunk_length in arguments.chunk_length if writer == "trajectory" else [0]:
            for samplers, in_flight in itertools.product(arguments.samplers, arguments.in_flight):
                yield (
                    server,
                    WriterSettings(
                        writer=writer, layout=layout, chunk_length=chunk_length, keep_alive=max(2, chunk_length)
                    ),
                    SamplerSettings(
                        samplers=samplers,
                        in_flight=in_flight,
                        prefetch=arguments.prefetch,
                        batch_size=arguments.batch_size,
                    ),
                )


def run_tune(arguments: argparse.Namespace, answers: TextIO) -> None:
    """
    Measure all candidates, one after the other.

    :param arguments: of the command line.
    :param answers: gets a JSON line for each, with the median rates.
    """
    for server, writer, sampler in candidates(arguments):
        replay = Replay(server=server, writer=writer, sampler=sampler, capacity=arguments.capacity)
        inserted = [replay.insert(arguments.insertions)["rate"] for _ in range(arguments.rounds)]
        sampled = [replay.sample(arguments.samples)["rate"] for _ in range(arguments.rounds)]
        replay.close()
        row = {"insert": median(inserted), "sample": median(sampled), "settings": replay.settings}
        print(json.dumps(row), file=answers, flush=True)


def run_serve(arguments: argparse.Namespace, answers: TextIO) -> None:
    """
    Answer requests, one a line, until "quit" or the end of the input.

    :param arguments: of the command line.
    :param answers: where answers go, one JSON line each; the first says that the replay is filled.
    """
    found = list(candidates(arguments))
    if len(found) != 1:
        raise SystemExit("serve takes one value of each option")
    ((server, writer, sampler),) = found
    replay = Replay(server=server, writer=writer, sampler=sampler, capacity=arguments.capacity)
    packages = {package: version(package) for package in ("dm-reverb", "tensorflow", "numpy")}
    versions = {"python": platform.python_version(), **packages}
    head = {"kind": "ready", "library": "reverb", "settings": replay.settings, "versions": versions}
    print(json.dumps(head), file=answers, flush=True)
    for line in sys.stdin:
        answer: dict[str, Any]
        match line.split():
            case ["insert", amount] if amount.isdecimal() and int(amount) > 0:
                answer = {"kind": "measurement", **replay.insert(int(amount))}
            case ["sample", amount] if amount.isdecimal() and int(amount) > 0:
                answer = {"kind": "measurement", **replay.sample(int(amount))}
            case ["quit"]:
                break
            case _:
                answer = {"kind": "error", "message": f'not "insert N", "sample N" or "quit": {line.strip()}'}
        print(json.dumps(answer), file=answers, flush=True)
    replay.close()


def parser() -> argparse.ArgumentParser:
    """:return: the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--server", choices=["own", "learner"], nargs="+", default=["own"], help="its process (own)")
    common.add_argument(
        "--writer",
        choices=["trajectory", "structured"],
        nargs="+",
        default=["structured"],
        help="makes items in Python, or in C++ after a pattern (structured)",
    )
    common.add_argument(
        "--layout",
        choices=["shared", "whole", "packed"],
        nargs="+",
        default=["packed"],
        help="an observation once, a transition in columns, or in one column of 41 floats (packed)",
    )
    common.add_argument(
        "--chunk-length",
        type=int,
        nargs="+",
        default=[1],
        help="of the trajectory writer: steps in a chunk, 0 for Reverb's choice (1)",
    )
    common.add_argument("--samplers", type=int, nargs="+", default=[2], help="threads; -1 for Reverb's choice (2)")
    common.add_argument("--in-flight", type=int, nargs="+", default=[512], help="samples of each sampler (512)")
    common.add_argument("--prefetch", type=int, default=4, help="batches made ahead (4)")
    common.add_argument("--batch-size", type=int, default=256, help="transitions in a batch (256)")
    common.add_argument("--capacity", type=int, default=100_000, help="transitions that are kept (100,000)")

    commands = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command = commands.add_subparsers(required=True)
    serve = command.add_parser("serve", parents=[common], help='answer "insert N" and "sample N" lines until "quit"')
    serve.set_defaults(run=run_serve)
    tune = command.add_parser("tune", parents=[common], help="try all settings that are named; print their rates")
    tune.add_argument("--insertions", type=int, default=10_000, help="steps in a measurement (10,000)")
    tune.add_argument("--samples", type=int, default=200, help="batches in a measurement (200)")
    tune.add_argument("--rounds", type=int, default=3, help="measurements, of which the median is printed (3)")
    tune.set_defaults(run=run_tune)
    return commands


def main() -> None:
    """Run the command line. Standard output is for JSON: what a library prints goes to standard error."""
    arguments = parser().parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        arguments.run(arguments, answers)
    finally:
        sys.stdout = answers


# The other processes import this file.
if __name__ == "__main__":
    main()
