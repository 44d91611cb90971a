"""Small experiments on several devices; run with ``--xla_force_host_platform_device_count=4`` among ``XLA_FLAGS``.

``python tests/training/several_devices.py updates NAME FOLDER DEVICE …`` makes some iterations of the training loop on
each of the devices and prints, as JSON, how they were made and how far the learner's state is from the first one's.
``… resumed NAME FOLDER`` does the same for runs that are resumed, on the same devices and on others.
"""

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np

import triax
from triax.datasets import RecordedEpisode, write_dataset
from triax.learners.interface import LearnerConfig
from triax.replay.gathering import assemble
from triax.training.building import build
from triax.training.devices import placement_of
from triax.trees import leaves_by_path, to_numpy
from triax.types import RowOrigin, Sequences, Trajectory

ROWS = 64
"""Of a batch."""
FEATURES = 24
"""Of hidden layers; nothing else has so many."""


class Watched:
    """A compiled function of a training loop that notes how it computes.

    :ivar sums_over_devices: how often it sums something over devices.
    :ivar hidden_rows: how many rows the hidden layers have on one device.
    :ivar shards: of data that was on devices already, which device had how many rows of each batch.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function: Any = function
        self._compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            self._compiled = self._function.lower(*arguments).compile()
            text = self._compiled.as_text()
            self.sums_over_devices = len(re.findall(r" all-reduce(?:-start)?\(", text))
            self.hidden_rows = sorted({int(rows) for rows in re.findall(rf"f32\[(\d+),{FEATURES}\]", text)})
            data: list[Any] = [leaf for leaf in jax.tree.leaves(arguments[1]) if isinstance(leaf, jax.Array)]
            shards = [shard for leaf in data for shard in leaf.addressable_shards]
            self.shards = sorted({(shard.device.id, shard.data.shape[1]) for shard in shards})
        return self._compiled(*arguments)


def experiment(*, name: str, folder: Path) -> triax.Experiment:
    """Build one whose updates are well conditioned: Adam divides by no root of nearly nothing.

    :param name: sac, ppo or bc.
    :param folder: for the dataset.
    :return: the experiment.
    """
    network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(FEATURES,)))
    optimizer = triax.OptimizerConfig(learning_rate=1e-3, epsilon=1e-3)
    learners: dict[str, LearnerConfig] = {
        "sac": triax.SACConfig(
            actor=network,
            critic=network,
            batch_size=ROWS,
            warmup_steps=100,
            normalise_observations=True,
            actor_optimizer=optimizer,
            critic_optimizer=optimizer,
        ),
        "ppo": triax.PPOConfig(
            actor=network,
            critic=network,
            steps=32,
            minibatch_size=ROWS,
            epochs=2,
            normalise_observations=True,
            optimizer=optimizer,
        ),
        "bc": triax.BCConfig(actor=network, batch_size=ROWS, normalise_observations=True, optimizer=optimizer),
    }
    return triax.Experiment(
        name=name,
        learner=learners[name],
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        dataset=recorded(root=folder) if name == "bc" else None,
        rollout=triax.RolloutConfig(environments_per_worker=4),
        total_steps={"sac": 160, "ppo": 512, "bc": 64}[name],
        evaluation=triax.EvaluationConfig(interval=1_000_000, episodes=2, at_start=False),
        checkpoint=triax.CheckpointConfig(interval={"sac": 128, "ppo": 256, "bc": 32}[name]),
        loop=triax.LoopConfig(video=False),
    )


def recorded(*, root: Path) -> triax.DatasetConfig:
    """Record four episodes at random, in which the action depends on the observation."""
    config = triax.DatasetConfig(id="several/devices-v0", root=root)
    if (root / "several").exists():
        return config
    environment, generator = gymnasium.make("Pendulum-v1"), np.random.default_rng(0)
    episodes = []
    for seed in range(4):
        observations = list(generator.uniform(-1.0, 1.0, (33, 3)).astype(np.float32))
        episodes.append(
            RecordedEpisode(
                observations=observations,
                actions=[row[:1] for row in observations[:-1]],
                rewards=[0.0] * 32,
                terminated=False,
                truncated=True,
                seed=seed,
            )
        )
    write_dataset(id=config.id, episodes=episodes, environment=environment, root=root)
    return config


def updates(*, name: str, folder: Path, devices: list[str]) -> dict[str, Any]:
    """Make updates on each of the devices, from data that goes the loop's way."""
    reports: dict[str, Any] = {}
    reference: Any = None
    for device in devices:
        placement = placement_of(device)
        with placement.computing():
            parts = build(experiment=experiment(name=name, folder=folder), placement=placement)
            loop: Any = parts.loop
            attribute = "_learn" if name == "ppo" else "_updates"
            watched = Watched(getattr(loop, attribute))
            setattr(loop, attribute, watched)
            before = actor(loop.policy_parameters())
            while loop.counters.updates < 16:
                loop.advance(limit=1_000_000)
            state = to_numpy(loop.learner_state)
            reference = state if reference is None else reference
            reports[device] = {
                "shards": watched.shards,
                "sums_over_devices": watched.sums_over_devices,
                "hidden_rows": watched.hidden_rows,
                "moved": farthest(before, actor(loop.policy_parameters())),
                "from_first": farthest(reference, state),
            }
            parts.close()
    return {"updates": reports, "refused": refused(name=name, folder=folder), "sequences": split_sequences()}


def refused(*, name: str, folder: Path) -> str:
    """Build an experiment on three devices, which do not divide its batches."""
    try:
        build(experiment=experiment(name=name, folder=folder), placement=placement_of("cpu:0,1,2"))
    except ValueError as error:
        return str(error)
    return ""


def split_sequences() -> dict[str, Any]:
    """Split two batches of eight sequences of five steps over four devices, and tell the shape of a device's part."""
    rows, one = (2, 5, 8), (2, 8)
    trajectory = assemble(
        Trajectory,
        observation=np.zeros((2, 6, 8, 3)),
        action=np.zeros((*rows, 1)),
        reward=np.zeros(rows),
        terminated=np.zeros(rows, bool),
        truncated=np.zeros(rows, bool),
        is_first=np.zeros((2, 6, 8), bool),
        is_last=np.zeros(rows, bool),
        extras={},
    )
    origin = assemble(RowOrigin, **{field.name: np.zeros(one, np.int32) for field in dataclasses.fields(RowOrigin)})
    batches = assemble(Sequences, rows=trajectory, mask=np.zeros(rows, bool), weight=np.zeros(one), origin=origin)
    split: Any = placement_of("cpu:0,1,2,3").split_batches(batches)
    leaves: dict[str, Any] = leaves_by_path(split)
    return {path: leaf.addressable_shards[0].data.shape for path, leaf in leaves.items()}


def resumed(*, name: str, folder: Path) -> dict[str, Any]:
    """Train on two devices, go on from the first checkpoint on the same two, on one, and on another two."""
    on_two = dataclasses.replace(experiment(name=name, folder=folder), device="cpu:0,1")
    first = triax.train(experiment=on_two, run_directory=folder / "first").run_directory
    ended = parameters(first)
    reports = {}
    for device in ("cpu:0,1", "cpu", "cpu:2,3"):
        copy = folder / device.replace(":", "-")
        shutil.copytree(first, copy)
        triax.resume(run_directory=copy, checkpoint=on_two.checkpoint.interval, device=device)
        reports[device] = farthest(ended, parameters(copy))
    one = triax.train(experiment=dataclasses.replace(on_two, device="cpu"), run_directory=folder / "one").run_directory
    return reports | {"never on two": farthest(ended, parameters(one))}


def actor(parameters: Any) -> dict[str, Any]:
    """The networks' part, without statistics."""
    return to_numpy({path: leaf for path, leaf in leaves_by_path(parameters).items() if path.startswith("actor")})


def parameters(run: Path) -> Any:
    return triax.load_agent(run_directory=run).parameters


def farthest(one: Any, other: Any) -> float:
    """The largest difference of any two numbers, relative to 1 and to the number."""

    def distance(a: Any, b: Any) -> float:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return float(np.max(np.abs(a - b) / np.maximum(1.0, np.abs(a)), initial=0.0))

    distances: list[float] = jax.tree.leaves(jax.tree.map(distance, one, other))
    return max(distances)


if __name__ == "__main__":
    what, chosen, place, *named = sys.argv[1:]
    if what == "updates":
        report = updates(name=chosen, folder=Path(place), devices=named)
    else:
        report = resumed(name=chosen, folder=Path(place))
    print(json.dumps(report))
