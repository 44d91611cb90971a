"""
The peer's side of the comparison of cloning with the package imitation (HumanCompatibleAI): its `BC` in a process of
its own.

    .venv-imitation/bin/python benchmarks/peer_imitation.py --demonstrations FILE.npz --hidden 256 256 --batch-size 256

Prints a line of JSON with its settings when it is ready. Then it answers each line of its input with a line of JSON:

===============  ============================================================================
line             answer
===============  ============================================================================
`measure N`      of N further updates: `{"kind": "measurement", "unit": "samples", "amount": A,
                 "seconds": S, "rate": A / S}`
`act [[...]]`    the deterministic policy at observations, a row each:
                 `{"kind": "actions", "actions": [[...]]}`
`quit`, the end  none; the process ends
===============  ============================================================================

The file has `observations` [N, ...] and `actions` [N, ...], in the environment's units. Runs in the peer's environment
(`set_up_imitation.sh`) and imports nothing of Triax.

Network, batch size, optimiser (Adam), learning rate, number of updates and demonstrations are as on Triax's side;
weights of entropy and L2 are 0, as there. What differs is each library's own:

- the loss is the negative log-likelihood of a Gaussian with a spread that does not depend on the observation. Triax's
  own is the squared error of the deterministic action, and its other way is this one, for the Gaussian before tanh;
- the mean is not squashed, and actions are clipped to the environment's bounds when they are taken; Triax's are tanh of
  the output. Actions are in the environment's units here, ±2 in Pendulum, and in [−1, 1] there;
- weights begin orthogonal, the output's small, here, and as LeCun's there;
- a batch is a part of a shuffled pass over the demonstrations here, and drawn with replacement there.

What would slow imitation down and has no use here is left out: its progress bar and its logger's outputs, evaluation
while it trains, and the hidden layers of a critic, which Stable Baselines' policies have and cloning does not train.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import gymnasium
import numpy as np
import torch
from imitation.algorithms.bc import BC
from imitation.data.types import Transitions
from imitation.util.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy

LOG_INTERVAL = 1000
"""Updates between rows of the log, as in Triax's loop."""

WARM_UPDATES = 50


class Batches:
    """
    Batches that a user may hand to `BC` in place of transitions: slices of arrays that are shuffled once a pass, where
    imitation's own loader collects its batches sample by sample.

    :param observations: [N, ...].
    :param actions: [N, ...].
    :param batch_size: rows a batch; what is left over at the end of a pass is dropped, as imitation's loader does.
    """

    def __init__(self, *, observations: np.ndarray, actions: np.ndarray, batch_size: int) -> None:
        self._observations, self._actions = torch.from_numpy(observations), torch.from_numpy(actions)
        self._batch_size = batch_size

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        order = torch.randperm(len(self._observations))
        observations, actions = self._observations[order], self._actions[order]
        for start in range(0, len(order) - self._batch_size + 1, self._batch_size):
            rows = slice(start, start + self._batch_size)
            yield {"obs": observations[rows], "acts": actions[rows]}


def make_demonstrations(*, path: Path, loading: str, batch_size: int) -> Any:
    """
    :param path: of the file.
    :param loading: "loader" for imitation's own, "batches" for :class:`Batches`.
    :param batch_size: rows a batch.
    :return: what `BC` takes.
    """
    with np.load(path) as file:
        observations, actions = file["observations"], file["actions"]
    if loading == "batches":
        return Batches(observations=observations, actions=actions, batch_size=batch_size)
    count = len(observations)
    # Cloning does not read what came next.
    return Transitions(
        obs=observations,
        acts=actions,
        infos=np.array([{}] * count),
        next_obs=observations,
        dones=np.zeros(count, np.bool_),
    )


def make_trainer(arguments: argparse.Namespace) -> Any:
    """
    :param arguments: of the command line.
    :return: imitation's `BC`.
    """
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    environment = gymnasium.make(arguments.environment)
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[arguments.activation]
    policy = ActorCriticPolicy(
        environment.observation_space,
        environment.action_space,
        lambda _: arguments.learning_rate,
        net_arch={"pi": arguments.hidden, "vf": []},
        activation_fn=activation,
    )
    return BC(
        observation_space=environment.observation_space,
        action_space=environment.action_space,
        rng=np.random.default_rng(arguments.seed),
        policy=policy,
        demonstrations=make_demonstrations(
            path=arguments.demonstrations, loading=arguments.loading, batch_size=arguments.batch_size
        ),
        batch_size=arguments.batch_size,
        optimizer_kwargs={"lr": arguments.learning_rate},
        ent_weight=0.0,
        l2_weight=0.0,
        device="cpu",
        custom_logger=configure(format_strs=[]),
    )


def train(*, trainer: Any, updates: int) -> None:
    """
    :param trainer: imitation's `BC`.
    :param updates: gradient steps.
    """
    trainer.train(n_batches=updates, log_interval=LOG_INTERVAL, progress_bar=False)


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    :param arguments: of the command line.
    :return: what is run, with which versions, on what.
    """
    packages = ("imitation", "stable_baselines3", "torch", "numpy", "gymnasium")
    given = {name: value for name, value in vars(arguments).items() if name != "demonstrations"}
    return {
        "library": "imitation",
        "settings": given,
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "cores": len(os.sched_getaffinity(0)),
    }


def serve(*, trainer: Any, batch_size: int, answers: TextIO) -> None:
    """
    Answer requests, one a line, until "quit" or the end of the input.

    :param trainer: imitation's `BC`.
    :param batch_size: rows a batch.
    :param answers: where answers go.
    """
    for line in sys.stdin:
        answer: dict[str, Any]
        match line.split(maxsplit=1):
            case ["measure", amount] if amount.strip().isdecimal() and int(amount) > 0:
                started = time.perf_counter()
                train(trainer=trainer, updates=int(amount))
                seconds = time.perf_counter() - started
                samples = int(amount) * batch_size
                answer = {"kind": "measurement", "unit": "samples", "amount": samples, "seconds": round(seconds, 4)}
                answer["rate"] = round(samples / seconds, 2)
            case ["act", observations]:
                actions, _ = trainer.policy.predict(np.array(json.loads(observations), np.float32), deterministic=True)
                answer = {"kind": "actions", "actions": actions.tolist()}
            case ["quit"]:
                break
            case _:
                answer = {"kind": "error", "message": f'not "measure N", "act [[...]]" or "quit": {line.strip()}'}
        print(json.dumps(answer), file=answers, flush=True)


def parser() -> argparse.ArgumentParser:
    """:return: the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demonstrations", type=Path, required=True, help="a .npz of observations and actions")
    parser.add_argument("--environment", default="Pendulum-v1", help="Gymnasium's id, for its spaces (Pendulum-v1)")
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256], help="units of each layer (256 256)")
    parser.add_argument("--activation", choices=["relu", "tanh"], default="relu", help="(relu)")
    parser.add_argument("--batch-size", type=int, default=256, help="samples an update (256)")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="of Adam (0.0003)")
    parser.add_argument("--loading", choices=["loader", "batches"], default="loader", help="who makes batches (loader)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm", action="store_true", help="make some updates before it is ready, to be timed later")
    return parser


def main() -> None:
    """Run the command line. Standard output is for JSON: what a library prints goes to standard error."""
    arguments = parser().parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        trainer = make_trainer(arguments)
        if arguments.warm:
            train(trainer=trainer, updates=WARM_UPDATES)
        print(json.dumps({"kind": "ready", **settings_of(arguments)}), file=answers, flush=True)
        serve(trainer=trainer, batch_size=arguments.batch_size, answers=answers)
    finally:
        sys.stdout = answers


if __name__ == "__main__":
    main()
