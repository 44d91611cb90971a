"""Speed side by side with SBX in one run, taking turns.

    benchmarks/set_up_peer.sh        # once: SBX in an environment of its own
    python benchmarks/speed.py sac_loop --output results/speed.jsonl

Both sides have the same network sizes, batch, replay and update ratio, and have compiled everything before the clock
starts. The settings are those of the learning results (``experiments/half_cheetah_sac.py``, ``half_cheetah_ppo.py``;
``hopper_sac.py`` with ``--environment Hopper-v5``); a peer with others is refused. Each round measures ours, the
peer's, and (for SAC) the bound by the update's matrix products alone; what counts are the ratios of a round. Each row
that is written has both sides' settings.
"""

import argparse
import dataclasses
import json
import math
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import jax
from matrix_bound import matrix_products_meter
from peers import Peer
from settings import commit, description_of, experiment_of

import triax
from triax.random import derive_generator, derive_key
from triax.runs import environment_description
from triax.training.building import build, environment_spec
from triax.training.loops.base import compiled_updates, update_number
from triax.types import TransitionUnit

ROOT = Path(__file__).resolve().parents[1]
LEARNED = {"Hopper-v5": "hopper"}
"""What the experiments of an environment are called; others are measured with the settings of HalfCheetah."""

WARMUP_STEPS = 1000
WHAT = ("sac_loop", "sac_updates", "ppo_loop", "sac_workers", "ppo_workers")


def experiment_of_results(
    *, algorithm: str, environment: str, backend: Literal["inline", "processes"]
) -> triax.Experiment:
    """Take the experiment of the learning results, of any length.

    :param algorithm: "sac" or "ppo".
    :param environment: a Gymnasium id.
    :param backend: how environments are stepped.
    :return: the experiment.
    """
    file = ROOT / "experiments" / f"{LEARNED.get(environment, 'half_cheetah')}_{algorithm}.py"
    if not file.exists():
        raise SystemExit(f"--environment {environment}: there are no learning results of {algorithm} ({file.name}).")
    experiment = experiment_of(file)
    return dataclasses.replace(
        experiment,
        environment=triax.EnvironmentConfig(id=environment),
        rollout=dataclasses.replace(experiment.rollout, backend=backend),
        total_steps=100_000_000,
    )


def settings_of(experiment: triax.Experiment) -> dict[str, Any]:
    """Say our settings in the peer's names.

    :param experiment: ours.
    :return: all that the peer states, but its seed and how it steps its environments.
    """
    learner: Any = experiment.learner
    assert experiment.environment is not None
    shared = {
        "environment": experiment.environment.id,
        "hidden": list(learner.actor.torso.hidden),
        "discount": learner.discount,
    }
    if isinstance(learner, triax.SACConfig):
        return shared | {
            "learning_rate": learner.actor_optimizer.learning_rate,
            "batch_size": learner.batch_size,
            "tau": learner.target_rate,
            "replay_capacity": experiment.replay.capacity,
            "warmup": learner.warmup_steps,
        }
    return shared | {
        "learning_rate": learner.optimizer.learning_rate,
        "environments": experiment.rollout.environments_per_worker,
        "steps_per_environment": learner.steps,
        "minibatch": learner.minibatch_size,
        "epochs": learner.epochs,
        "gae_lambda": learner.gae_lambda,
        "clip_range": learner.clip_range,
        "entropy_coefficient": learner.entropy_coefficient,
        "value_coefficient": learner.value_coefficient,
        "max_gradient_norm": learner.optimizer.max_gradient_norm,
    }


def check_equal(*, experiment: triax.Experiment, peer: dict[str, Any]) -> None:
    """Refuse a comparison of different settings.

    :param experiment: ours.
    :param peer: the peer's settings.
    :raises ValueError: if one differs.
    """
    ours = settings_of(experiment)
    theirs = {name: value for name, value in peer.items() if name not in ("seed", "vector")}
    for name in ours | theirs:
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"{name} is {ours.get(name)!r} in our settings and {theirs.get(name)!r} in the peer's; make them equal."
            )


def loop_meter(experiment: triax.Experiment, *, warm_steps: int, unmeasured_steps: int = 0) -> Callable[[int], float]:
    """Make a meter of the whole loop: environments, policy, replay and updates.

    :param experiment: what to run.
    :param warm_steps: steps before the first measurement; all is compiled then.
    :param unmeasured_steps: steps before each measurement that do not count. Workers have gone ahead while others were
        measured; this much uses that up.
    :return: from environment steps to steps a second.
    """
    parts = build(experiment=experiment)

    def run_to(steps: int) -> None:
        while parts.loop.steps < steps:
            parts.loop.advance(limit=10**9)
        wait_for(parts.loop.learner_state)

    run_to(warm_steps)

    def measure(amount: int) -> float:
        run_to(parts.loop.steps + unmeasured_steps)
        before, started = parts.loop.steps, time.perf_counter()
        run_to(before + amount)
        return (parts.loop.steps - before) / (time.perf_counter() - started)

    return measure


def updates_meter(experiment: triax.Experiment, *, updates_per_call: int) -> Callable[[int], float]:
    """Make a meter of SAC's updates with their sampling, on a replay that is filled.

    :param experiment: what to run.
    :param updates_per_call: updates in one compiled call.
    :return: from updates to updates a second.
    """
    parts = build(experiment=experiment)
    while parts.loop.steps < WARMUP_STEPS + 100:
        parts.loop.advance(limit=10**9)
    replay: Any = parts.loop.replay  # type: ignore[attr-defined]
    updates = compiled_updates(learner=parts.learner)
    key = derive_key(seed=0, name=("speed",))
    state = parts.loop.learner_state
    made = 0

    def sample(number: int) -> Any:
        return replay.sample(
            unit=TransitionUnit(discount=0.99),
            batch_size=256,
            batches=updates_per_call,
            generator=derive_generator(seed=0, name=("speed", number)),
        )

    def measure(amount: int) -> float:
        nonlocal state, made
        calls = -(-amount // updates_per_call)
        started = time.perf_counter()
        batches = sample(made)
        for _ in range(calls):
            state, _ = updates(state, batches, key, update_number(made))
            made += updates_per_call
            batches = sample(made)
        wait_for(state)
        return calls * updates_per_call / (time.perf_counter() - started)

    measure(2 * updates_per_call)
    return measure


def wait_for(tree: Any) -> None:
    """Wait until arrays are computed.

    :param tree: of arrays.
    """
    for leaf in jax.tree.leaves(tree):
        leaf.block_until_ready()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared.

    :ivar experiment: ours.
    :ivar ours: makes our meter.
    :ivar peer: arguments of the peer.
    :ivar amount: steps or updates a measurement.
    :ivar bounded: whether the bound by matrix products applies.
    """

    experiment: triax.Experiment
    ours: Callable[[], Callable[[int], float]]
    peer: list[str]
    amount: int
    bounded: bool


def comparison_of(what: str, *, environment: str) -> Comparison:
    """Say what is to be compared.

    :param what: one of WHAT.
    :param environment: a Gymnasium id.
    :return: the comparison.
    """
    algorithm, _, measured = what.partition("_")
    with_workers = measured == "workers"
    experiment = experiment_of_results(
        algorithm=algorithm, environment=environment, backend="processes" if with_workers else "inline"
    )
    peer = ["--algorithm", algorithm, "--environment", environment]
    if algorithm == "ppo":
        return Comparison(
            experiment=experiment,
            ours=lambda: loop_meter(experiment, warm_steps=4096, unmeasured_steps=6_144 if with_workers else 0),
            peer=[*peer, "--vector", "dummy"],
            amount=12_288 if with_workers else 6_144,
            bounded=False,
        )
    peer += ["--warmup", str(WARMUP_STEPS)]
    if measured == "updates":
        return Comparison(
            experiment=experiment,
            ours=lambda: updates_meter(experiment, updates_per_call=experiment.loop.updates_per_call),
            peer=[*peer, "--what", "updates", "--updates-per-call", "1"],
            amount=192,
            bounded=True,
        )
    return Comparison(
        experiment=experiment,
        ours=lambda: loop_meter(experiment, warm_steps=WARMUP_STEPS + 200, unmeasured_steps=64 if with_workers else 0),
        peer=peer,
        amount=192,
        bounded=True,
    )


def bound_meter(experiment: triax.Experiment) -> Callable[[int], float]:
    """Make a meter of the matrix products of SAC's updates alone.

    :param experiment: whose shapes.
    :return: from updates to updates a second.
    """
    learner = experiment.learner
    assert isinstance(learner, triax.SACConfig)
    assert isinstance(learner.actor.torso, triax.MLPConfig)
    spec = environment_spec(experiment=experiment)
    return matrix_products_meter(
        observation_dim=sum(math.prod(leaf.shape) for leaf in spec.observation.leaves()),
        action_dim=sum(math.prod(leaf.shape) for leaf in spec.action.leaves()),
        hidden=learner.actor.torso.hidden,
        batch_size=learner.batch_size,
        critics=learner.critics,
    )


def summarise(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Compare the meters' rates.

    :param rounds: the rate of each meter in each round; "ours" among them.
    :return: of each meter the median and the fastest rate; ours to each other's as the median of the rounds' ratios,
        and as the ratio of the fastest rates (what else the machine does only ever slows a measurement down).
    """
    summary: dict[str, float] = {}
    for name in rounds[0]:
        rates = [row[name] for row in rounds]
        summary |= {f"{name}_median": round(statistics.median(rates), 1), f"{name}_fastest": round(max(rates), 1)}
    for name in rounds[0]:
        if name != "ours":
            ratios = [row["ours"] / row[name] for row in rounds]
            summary[f"ours_to_{name}_median"] = round(statistics.median(ratios), 3)
            summary[f"ours_to_{name}_fastest"] = round(summary["ours_fastest"] / summary[f"{name}_fastest"], 3)
    return summary


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--environment", default="HalfCheetah-v5", help="a Gymnasium id (default: HalfCheetah-v5)")
    parser.add_argument("--rounds", type=int, default=30, help="of turns (default: 30)")
    parser.add_argument("--output", type=Path, help="a file of JSON rows to append to")
    arguments = parser.parse_args()
    comparison = comparison_of(arguments.what, environment=arguments.environment)
    peer = Peer(environment=".venv-sbx", arguments=["benchmarks/peer_sbx.py", "serve", *comparison.peer])
    check_equal(experiment=comparison.experiment, peer=peer.settings["settings"])
    meters = {"ours": comparison.ours(), "peer": peer.measure}
    if comparison.bounded:
        meters["bound"] = bound_meter(comparison.experiment)
    rounds: list[dict[str, float]] = []
    try:
        for number in range(arguments.rounds):
            # Whoever comes first may profit from a rest or suffer from what ran before: the order turns.
            names = list(meters)[number % len(meters) :] + list(meters)[: number % len(meters)]
            rates = {name: meters[name](comparison.amount) for name in names}
            rounds.append({name: round(rates[name], 2) for name in meters})
            print(rounds[-1], flush=True)
    finally:
        peer.close()
    summary = summarise(rounds)
    print(f"{arguments.what}: {summary}")
    if arguments.output is not None:
        document = {
            "what": arguments.what,
            "environment": arguments.environment,
            "command": f"python benchmarks/speed.py {shlex.join(sys.argv[1:])}",
            "date": date.today().isoformat(),
            "summary": summary,
            "rounds": rounds,
            "ours": description_of(comparison.experiment),
            "commit": commit(),
            "peer": peer.settings,
            "machine": environment_description().to_json(),
        }
        with arguments.output.open("a") as file:
            file.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
