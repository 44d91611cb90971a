"""The replay beside Reverb in one run, taking turns: steps inserted from another process, and batches sampled.

    benchmarks/set_up_reverb.sh        # once: Reverb in an environment of its own
    python benchmarks/replay_speed.py --output results/replay_speed.jsonl

Inserting goes from a process that has experience ready to a replay that holds it. Ours takes the way of a worker's
experience: chunks as bytes through a channel in shared memory, each with its length, sequence number and checksum;
the writer waits when it is ``lead`` chunks ahead, and the reader checks, inserts, and asks the training loop's limiter.
Reverb's takes that of its writer to its server. Sampling draws batches of transitions into NumPy arrays. Ours reads
memory of the trainer's own process, while Reverb's learner asks a server, in another process or its own: what that
costs is a difference of the two designs, and part of what is compared.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import math
import multiprocessing
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

import gymnasium
import numpy as np
from peers import Peer

from triax.random import derive_generator
from triax.replay import Replay, ReplayConfig
from triax.rollout.processes.channel import Channel
from triax.rollout.processes.memory import wait_for_signals
from triax.rollout.processes.records import ChunkRecords
from triax.runs import environment_description
from triax.spaces import space_spec
from triax.training.loops.base import Counters
from triax.training.loops.limiter import RateLimiter
from triax.types import Chunk, ChunkOrigin, Trajectory, TransitionUnit

ROOT = Path(__file__).resolve().parents[1]
OBSERVATION = space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (17,)), role="observation")
ACTION = space_spec(space=gymnasium.spaces.Box(-1.0, 1.0, (6,)), role="action")
EPISODE_ROWS = 1024
"""1,023 steps and the final observation: about as long as HalfCheetah's, and whole chunks go into it."""

BATCH_SIZE = 256
WAKE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is inserted and sampled, and how much in a measurement.

    :ivar capacity: steps that a replay keeps; it is full.
    :ivar lead: chunks that may lie in the channel.
    :ivar batches_per_call: batches that our replay draws at a time, as many as there are updates in a compiled call.
    :ivar chunks: inserted into ours in a measurement, of each size: a chunk takes about as long, whatever its size.
    :ivar peer_insertions: steps inserted into Reverb.
    :ivar batches: batches drawn from ours.
    :ivar peer_batches: batches drawn from Reverb.
    """

    capacity: int
    lead: int
    batches_per_call: int
    chunks: int
    peer_insertions: int
    batches: int
    peer_batches: int


def made_up_episode() -> Trajectory:
    """Make an episode of random numbers in HalfCheetah's shapes, cut off at its end.

    :return: its rows and, as the last observation, the first one again: repeated, it is an endless stream.
    """
    generator = np.random.default_rng(0)
    observation = generator.normal(size=(EPISODE_ROWS, 1, 17)).astype(np.float32)
    flags = np.zeros((EPISODE_ROWS, 1), np.bool_)
    truncated, is_first, is_last = flags.copy(), flags.copy(), flags.copy()
    truncated[-2] = is_first[0] = is_last[-1] = True
    return Trajectory(
        observation=np.concatenate([observation, observation[:1]]),
        action=generator.uniform(-1.0, 1.0, (EPISODE_ROWS, 1, 6)).astype(np.float32),
        reward=generator.normal(size=(EPISODE_ROWS, 1)).astype(np.float32),
        terminated=flags,
        truncated=truncated,
        is_first=np.concatenate([is_first, is_first[:1]]),
        is_last=np.concatenate([is_last, is_last[:1]]),
    )


def chunks_of(episode: Trajectory, *, rows: int) -> Iterator[Chunk]:
    """Cut the stream into chunks, again and again.

    :param episode: what is repeated.
    :param rows: of a chunk; a divisor of the episode's.
    :return: chunks as a worker makes them, without an end.
    """
    chunks = []
    for start in range(0, EPISODE_ROWS, rows):
        now, after = slice(start, start + rows), slice(start, start + rows + 1)
        trajectory = Trajectory(
            observation=episode.observation[after].copy(),
            action=episode.action[now].copy(),
            reward=episode.reward[now].copy(),
            terminated=episode.terminated[now].copy(),
            truncated=episode.truncated[now].copy(),
            is_first=episode.is_first[after].copy(),
            is_last=episode.is_last[after].copy(),
        )
        steps = rows - int(np.count_nonzero(trajectory.is_last[:-1]))
        chunks.append(Chunk(trajectory=trajectory, first_environment=0, policy_version=0, steps=steps, episodes=()))
    return itertools.cycle(chunks)


def run_producer(*, channel: Channel, link: Connection, rows: int, lead: int) -> None:
    """Be the producer's process: write as many chunks as the link says, again and again, until it closes.

    A worker's way (:mod:`triax.rollout.processes.worker`), without its environments and its policy.

    :param channel: where chunks go.
    :param link: to the trainer.
    :param rows: of a chunk.
    :param lead: chunks that may lie in the channel.
    """
    chunks = chunks_of(made_up_episode(), rows=rows)
    records = ChunkRecords(like=next(chunks).trajectory)

    def wait_for_room() -> None:
        wait_for_signals([channel.emptied], seconds=WAKE_SECONDS)
        channel.emptied.clear()

    link.send(None)
    while True:
        try:
            count = link.recv()
        except EOFError:
            return
        for chunk in itertools.islice(chunks, count):
            while channel.written - channel.read >= lead:
                wait_for_room()
            origin = ChunkOrigin(worker=0, life=0, sequence=channel.written)
            channel.write(records.write(chunk, origin=origin), wait=wait_for_room)


class Inserter:
    """Chunks from a process of its own into a replay.

    :param replay: where they go.
    :param rows: of a chunk.
    :param lead: chunks that may lie in the channel.
    """

    def __init__(self, *, replay: Replay, rows: int, lead: int) -> None:
        self._replay, self._rows = replay, rows
        self._counters = Counters()
        # One update a step, as SAC's.
        self._limiter = RateLimiter(updates_per_step=1.0, warmup_steps=0, tolerance=0, updates_per_call=8)
        self._records = ChunkRecords(like=next(chunks_of(made_up_episode(), rows=rows)).trajectory)
        self._channel = Channel(capacity=(lead + 1) * (self._records.size + 2**17))
        self._link, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_producer,
            kwargs={"channel": self._channel, "link": theirs, "rows": rows, "lead": lead},
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._link.recv()

    def measure(self, amount: int) -> float:
        """Insert, from the order to the producer to the last step in the replay.

        :param amount: chunks.
        :return: steps a second.
        """
        before, started = self._counters.environment_steps, time.perf_counter()
        self._link.send(amount)
        for _ in range(amount):
            # It never holds up the producer here: what updates are due count as made.
            self._limiter.wanted(self._counters)
            chunk = self._next_chunk()
            self._replay.insert(chunk)
            self._counters.environment_steps += chunk.steps
            self._counters.updates += self._limiter.calls_due(self._counters) * self._limiter.updates_per_call
        return (self._counters.environment_steps - before) / (time.perf_counter() - started)

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._process.join()
        self._channel.close()

    def _next_chunk(self) -> Chunk:
        while True:
            self._channel.filled.clear()
            record = self._channel.take()
            if record is not None:
                found = self._records.read(record)
                assert isinstance(found, Chunk)
                return found
            wait_for_signals([self._channel.filled], seconds=WAKE_SECONDS)


def sampling_meter(replay: Replay, *, batches_per_call: int) -> Callable[[int], float]:
    """Make a meter of sampling as the training loop does it, into NumPy arrays.

    :param replay: what to sample from.
    :param batches_per_call: batches drawn at a time.
    :return: from batches to batches a second.
    """
    made = 0

    def measure(amount: int) -> float:
        nonlocal made
        calls, started = math.ceil(amount / batches_per_call), time.perf_counter()
        for _ in range(calls):
            replay.sample(
                unit=TransitionUnit(discount=0.99),
                batch_size=BATCH_SIZE,
                batches=batches_per_call,
                generator=derive_generator(seed=0, name=("replay", made)),
            )
            made += batches_per_call
        return calls * batches_per_call / (time.perf_counter() - started)

    return measure


PEERS = {
    "reverb_structured": ["--writer", "structured", "--layout", "packed"],
    "reverb_structured_at_learner": ["--writer", "structured", "--layout", "packed", "--server", "learner"],
    "reverb_trajectory": ["--writer", "trajectory", "--layout", "packed", "--chunk-length", "16"],
    "reverb_columns": ["--writer", "trajectory", "--layout", "shared", "--chunk-length", "0"],
}
"""Reverb at its fastest, with its server in a process of its own and in the learner's; with its older writer, whose
items are made in Python; and as most programs use it, with a column for each part of a step, observations once."""

NOTES = {
    "insert": "From another process, until the last step can be sampled.",
    "sample": "Batches of 256 transitions as NumPy arrays. Triax's replay is in the trainer's process, so that "
    "sampling crosses no border between processes. Reverb's learner asks a server in another process; with the server "
    "in its own (reverb_structured_at_learner) it reads the table directly, and crosses none either.",
    "checksums": "Triax compares length, sequence number and CRC-32 of each chunk that comes from a worker. Reverb's "
    "messages have no checksum of their content (its ChunkData has no field for one).",
    "limiter": "Triax: the worker waits when it is so many chunks ahead, and the training loop's limiter is asked for "
    "each chunk; the updates that are due count as made. Reverb: SampleToInsertRatio, with a buffer so wide that it "
    "never holds up anyone.",
}
"""What is to be known beside the figures."""


def make_meters(*, sizes: Sizes, rows: list[int], stack: contextlib.ExitStack) -> dict[str, Callable[[int], float]]:
    """Make our meters, on a full replay.

    :param sizes: what is measured.
    :param rows: of a chunk, in turns.
    :param stack: ends the processes.
    :return: by name.
    """
    replay = Replay(
        config=ReplayConfig(capacity=sizes.capacity), observation_spec=OBSERVATION, action_spec=ACTION, streams=1
    )
    meters: dict[str, Callable[[int], float]] = {}
    for each in rows:
        inserter = Inserter(replay=replay, rows=each, lead=sizes.lead)
        stack.callback(inserter.close)
        meters[f"insert/triax_chunks_of_{each}"] = inserter.measure
    # Nothing is measured before the replay is full.
    meters[f"insert/triax_chunks_of_{rows[-1]}"](math.ceil(1.01 * sizes.capacity / rows[-1]))
    meters["sample/triax"] = sampling_meter(replay, batches_per_call=sizes.batches_per_call)
    return meters


def measure_round(
    *, sizes: Sizes, meters: dict[str, Callable[[int], float]], peers: dict[str, Peer], number: int
) -> dict[str, float]:
    """Let everyone insert, then everyone sample.

    :param sizes: what is measured.
    :param meters: ours.
    :param peers: Reverb's.
    :param number: of the round. Whoever comes first may suffer from what ran before: the order turns.
    :return: rates by name.
    """
    rates: dict[str, float] = {}
    for what, amount, peer_amount in (
        ("insert", sizes.chunks, sizes.peer_insertions),
        ("sample", sizes.batches, sizes.peer_batches),
    ):
        names = [name for name in meters if name.startswith(what)] + [f"{what}/{name}" for name in peers]
        turned = names[number % len(names) :] + names[: number % len(names)]
        measured = {
            name: meters[name](amount)
            if name in meters
            else peers[name.removeprefix(f"{what}/")].measure(peer_amount, what=what)
            for name in turned
        }
        rates |= {name: round(measured[name], 1) for name in names}
    return rates


def summarise(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Compare our rates with Reverb's.

    :param rounds: rates by name.
    :return: of each name the median and the fastest rate; of each of ours to each of Reverb's the median of the
        rounds' ratios, and the ratio of the fastest rates (what else the machine does only ever slows one down).
    """
    rates = {name: [row[name] for row in rounds] for name in rounds[0]}
    summary = {
        name: {"median": round(statistics.median(found), 1), "fastest": max(found)} for name, found in rates.items()
    }
    for ours, theirs in itertools.product(rates, rates):
        what, peer = theirs.split("/")
        if "triax" in ours and peer in PEERS and ours.startswith(what):
            ratios = [mine / other for mine, other in zip(rates[ours], rates[theirs], strict=True)]
            summary[f"{ours} to {peer}"] = {
                "median": round(statistics.median(ratios), 2),
                "fastest": round(max(rates[ours]) / max(rates[theirs]), 2),
            }
    return summary


def make_parser() -> argparse.ArgumentParser:
    """Make the command line.

    :return: its parser.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="of turns (7)")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[8, 64, 512], help="of our chunks, divisors of 1,024 (8 64 512)"
    )
    parser.add_argument("--lead", type=int, default=2, help="chunks that our producer may be ahead (2)")
    parser.add_argument("--batches-per-call", type=int, default=8, help="that our replay draws at a time (8)")
    parser.add_argument("--peers", choices=list(PEERS), nargs="+", default=list(PEERS), help="(all)")
    parser.add_argument("--capacity", type=int, default=100_000, help="steps in each replay (100,000)")
    parser.add_argument("--chunks", type=int, default=1_024, help="inserted in a measurement of ours (1,024)")
    parser.add_argument(
        "--peer-insertions", type=int, default=10_000, help="inserted in a measurement of Reverb: steps (10,000)"
    )
    parser.add_argument("--batches", type=int, default=4_000, help="in a measurement of ours (4,000)")
    parser.add_argument("--peer-batches", type=int, default=100, help="in a measurement of Reverb (100)")
    parser.add_argument("--output", type=Path, help="a file of JSON rows to append to")
    return parser


def main() -> None:
    """Run the command line."""
    parser = make_parser()
    arguments = parser.parse_args()
    if any(rows < 1 or EPISODE_ROWS % rows for rows in arguments.rows):
        parser.error(f"--rows must divide {EPISODE_ROWS}")
    sizes = Sizes(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Sizes)})
    load = [os.getloadavg()]
    rounds: list[dict[str, float]] = []
    with contextlib.ExitStack() as stack:
        meters = make_meters(sizes=sizes, rows=arguments.rows, stack=stack)
        peers: dict[str, Peer] = {}
        for name in arguments.peers:
            told = ["benchmarks/peer_reverb.py", "serve", *PEERS[name], "--capacity", str(sizes.capacity)]
            peers[name] = Peer(environment=".venv-reverb", arguments=told)
            stack.callback(peers[name].close)
        for number in range(arguments.rounds):
            rounds.append(measure_round(sizes=sizes, meters=meters, peers=peers, number=number))
            print(rounds[-1], flush=True)
    load.append(os.getloadavg())
    summary = summarise(rounds)
    for name, figures in summary.items():
        print(f"{name}: {figures}")
    if arguments.output is not None:
        document = {
            "what": "replay",
            "command": f"python benchmarks/replay_speed.py {shlex.join(sys.argv[1:])}",
            "date": date.today().isoformat(),
            "summary": summary,
            "notes": NOTES,
            "settings": dataclasses.asdict(sizes) | {"rows": arguments.rows, "batch_size": BATCH_SIZE},
            "rounds": rounds,
            "peers": {name: peer.settings for name, peer in peers.items()},
            "load_average": load,
            "machine": environment_description().to_json(),
        }
        with arguments.output.open("a") as file:
            file.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
