"""Where the time goes: each part of training alone, then the whole, in line and with workers.

    python benchmarks/throughput.py --environment HalfCheetah-v5 --workers 1 2 --environments 1 8

Prints a table of rates as they are measured, and at the end which part limits the whole and which setting to try.
What collecting reaches is given as a share of the "bare loop", which is what anybody would write: the compiled policy
acts, each environment steps, and nothing else happens. It is measured as workers compute, with one thread and without
JAX's dispatch to another, which shares refer to, and as JAX computes by default. "One after the other" adds up the time
of the policy called again and again on one observation, and that of the environment stepped again and again with random
actions: faster than any loop of both, for each finds the processor's caches as it left them.
"""

import argparse
import concurrent.futures
import dataclasses
import functools
import itertools
import json
import multiprocessing
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from speed import updates_meter, wait_for

import triax
from triax.rollout import CompiledPolicy
from triax.rollout.processes.spawning import use_one_thread
from triax.runs import environment_description
from triax.training.building import Parts, build
from triax.training.loops import ReplayLoop
from triax.types import ActionMode, Chunk, TransitionUnit

WARMUP_STEPS = 1000
ROUNDS = 8
MUCH_WAITING, MUCH_REPLAYING, GOOD_SHARE = 0.05, 0.5, 0.92
"""Shares of the time and of the rate of updates alone: where other settings are worth a try, and where they are not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """What is measured.

    :ivar environment: a Gymnasium id.
    :ivar seconds: of each measurement.
    """

    environment: str
    seconds: float

    def experiment(self, **rollout: Any) -> triax.Experiment:
        """Describe SAC with its defaults.

        :param rollout: fields of the rollout's config.
        :return: the experiment.
        """
        return triax.Experiment(
            name="throughput",
            learner=triax.SACConfig(warmup_steps=WARMUP_STEPS),
            environment=triax.EnvironmentConfig(id=self.environment),
            rollout=triax.RolloutConfig(**rollout),
            total_steps=1_000_000,
        )

    def rate(self, work: Callable[[], int]) -> float:
        """Do some work again and again.

        :param work: does a piece, and returns how much that was.
        :return: how much is done in a second.
        """
        work()
        done, started = 0, time.perf_counter()
        while (seconds := time.perf_counter() - started) < self.seconds:
            done += work()
        return done / seconds


def bare_environment(bench: Bench) -> float:
    """Step one environment with random actions.

    :param bench: what is measured.
    :return: steps a second.
    """
    environment = bench.experiment().environment
    assert environment is not None
    made = environment.make()
    made.reset(seed=0)
    made.action_space.seed(0)
    actions = [made.action_space.sample() for _ in range(1000)]

    def work() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = made.step(action)
            if terminated or truncated:
                made.reset()
        return len(actions)

    rate = bench.rate(work)
    made.close()
    return rate


def bare_policy(bench: Bench, *, environments: int) -> float:
    """Call the compiled policy.

    :param bench: what is measured.
    :param environments: observations in a call.
    :return: actions a second.
    """
    experiment = bench.experiment()
    parts = build(experiment=experiment)
    parameters = parts.loop.policy_parameters()
    policy = CompiledPolicy(policy=parts.learner.policy, count=environments, action_spec=parts.spec.action)
    observation = parts.spec.observation.zeros(batch_shape=(environments,))
    key, carry = jax.random.key(0), policy.initial_carry()
    is_first = np.zeros((environments,), np.bool_)

    def work() -> int:
        for counter in range(100):
            policy.act(
                parameters=parameters,
                carry=carry,
                observation=observation,
                is_first=is_first,
                key=key,
                counter=counter,
                mode=ActionMode.SAMPLE,
            )
        return 100 * environments

    rate = bench.rate(work)
    parts.close()
    return rate


def bare_loop(bench: Bench, *, environments: int) -> float:
    """Let the compiled policy act in environments, with nothing around.

    :param bench: what is measured.
    :param environments: how many a call of the policy acts for.
    :return: steps a second, over all environments.
    """
    experiment = bench.experiment()
    assert experiment.environment is not None
    parts = build(experiment=experiment)
    parameters, policy = parts.loop.policy_parameters(), parts.learner.policy

    @jax.jit
    def act(parameters: Any, observation: Any, key: Any, number: Any) -> Any:
        return policy.act(
            parameters=parameters,
            carry=policy.initial_carry(batch_shape=(environments,)),
            observation=observation,
            is_first=jnp.zeros((environments,), jnp.bool_),
            key=jax.random.fold_in(key, number),
            mode=ActionMode.SAMPLE,
        ).action

    made = [experiment.environment.make() for _ in range(environments)]
    space: Any = made[0].action_space
    observation = np.stack([each.reset(seed=seed)[0] for seed, each in enumerate(made)]).astype(np.float32)
    key, number = jax.random.key(0), 0

    def work() -> int:
        nonlocal observation, number
        for _ in range(100):
            inside = np.asarray(act(parameters, observation, key, np.uint32(number)))
            number += 1
            actions = space.low + (inside + 1.0) / 2.0 * (space.high - space.low)
            observations = []
            for environment, action in zip(made, actions, strict=True):
                seen, _, terminated, truncated, _ = environment.step(action)
                observations.append(environment.reset()[0] if terminated or truncated else seen)
            observation = np.stack(observations).astype(np.float32)
        return 100 * environments

    rate = bench.rate(work)
    for each in made:
        each.close()
    parts.close()
    return rate


def as_in_a_worker(measure: Callable[..., float], bench: Bench, *, environments: int) -> float:
    """Measure in a process in which JAX is set up as in workers'.

    :param measure: what to call.
    :param bench: what is measured.
    :param environments: how many the policy acts for.
    :return: what the call returned.
    """
    with concurrent.futures.ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=functools.partial(use_one_thread, core=0),
    ) as pool:
        return pool.submit(measure, bench, environments=environments).result()


def collection(bench: Bench, **rollout: Any) -> float:
    """Collect as in training, while the trainer does nothing else.

    :param bench: what is measured.
    :param rollout: fields of the rollout's config.
    :return: rows a second.
    """
    experiment = bench.experiment(**rollout)
    parts = build(experiment=experiment)
    fleet = _replay_loop(parts).fleet
    fleet.publish(parameters=parts.loop.policy_parameters(), version=1, mode=ActionMode.SAMPLE)

    def collect() -> list[Chunk]:
        return fleet.collect(minimum=experiment.loop.updates_per_call)

    waited_for = set(range(experiment.rollout.workers)) if experiment.rollout.backend == "processes" else set()
    while waited_for:
        waited_for -= {chunk.origin.worker for chunk in collect() if chunk.origin is not None}
    rate = bench.rate(lambda: sum(chunk.trajectory.reward.size for chunk in collect()))
    parts.close()
    return rate


def replay_rates(bench: Bench) -> dict[str, float]:
    """Insert and sample.

    :param bench: what is measured.
    :return: rows inserted a second, batches of 256 drawn a second.
    """
    parts = _warm(bench.experiment())
    loop = _replay_loop(parts)
    replay, generator = loop.replay, np.random.default_rng(0)
    # Each continues the one before, as in training.
    chunks = itertools.cycle([chunk for _ in range(100) for chunk in loop.fleet.collect(minimum=8)])

    def insert() -> int:
        chunk = next(chunks)
        replay.insert(chunk)
        return chunk.steps

    def sample() -> int:
        replay.sample(unit=TransitionUnit(discount=0.99), batch_size=256, batches=8, generator=generator)
        return 8

    rates = {"insert": bench.rate(insert), "sample": bench.rate(sample)}
    parts.close()
    return rates


def whole_loop(bench: Bench, *, updates: Callable[[int], float], **rollout: Any) -> dict[str, float]:
    """Train, in turns with updates alone.

    :param bench: what is measured.
    :param updates: a meter of updates alone.
    :param rollout: fields of the rollout's config.
    :return: environment steps a second, the updates' rate in the same minutes, the median of the rounds' ratios of the
        two, and the share of time that the trainer waited.
    """
    parts = _warm(bench.experiment(**rollout))
    amount, rounds, waiting, seconds = max(64, round(100 * bench.seconds)), [], 0.0, 0.0
    for _ in range(ROUNDS):
        alone = updates(amount)
        for _ in range(8):  # uses up what workers have made in advance
            parts.loop.advance(limit=10**9)
        wait_for(parts.loop.learner_state)
        steps, waited, started = parts.loop.steps, _seconds_waited(parts), time.perf_counter()
        while parts.loop.steps < steps + amount:
            parts.loop.advance(limit=10**9)
        wait_for(parts.loop.learner_state)
        took = time.perf_counter() - started
        rounds.append(((parts.loop.steps - steps) / took, alone))
        waiting, seconds = waiting + _seconds_waited(parts) - waited, seconds + took
    parts.close()
    return {
        "rate": statistics.median(rate for rate, _ in rounds),
        "updates": statistics.median(alone for _, alone in rounds),
        "share": statistics.median(rate / alone for rate, alone in rounds),
        "waiting": waiting / seconds,
    }


def _seconds_waited(parts: Parts) -> float:
    report = parts.loop.fleet_report()
    assert report is not None
    return report.seconds_waited


def _replay_loop(parts: Parts) -> ReplayLoop:
    assert isinstance(parts.loop, ReplayLoop)
    return parts.loop


def _warm(experiment: triax.Experiment) -> Parts:
    parts = build(experiment=experiment)
    while parts.loop.counters.updates < 100:
        parts.loop.advance(limit=10**9)
    return parts


def advice(*, waiting: float, share: float, replay: float, environment: float, policy: float) -> str:
    """Say what limits the whole, and which setting to try.

    :param waiting: the share of time that the trainer waits for experience.
    :param share: environment steps a second, at one update a step, as a share of the rate of updates alone.
    :param replay: the share of a step's time that inserting and drawing a batch take when nothing else runs.
    :param environment: steps a second of the environment alone.
    :param policy: actions a second of the policy alone, for as many environments as a worker has.
    :return: in words.
    """
    if waiting > MUCH_WAITING:
        if policy < environment:
            return (
                f"Acting limits it: the trainer waits {waiting:.0%} of the time, and the policy alone makes "
                f"{policy:,.0f} actions a second where the environment makes {environment:,.0f} steps. Try more "
                "--rollout.environments-per-worker, for which one call of the policy acts together."
            )
        return (
            f"The environment limits it: the trainer waits {waiting:.0%} of the time, and the environment alone makes "
            f"{environment:,.0f} steps a second where the policy makes {policy:,.0f} actions. Try more "
            "--rollout.workers, as many as there are cores to spare."
        )
    if replay > MUCH_REPLAYING:
        return (
            f"The replay limits it: inserting a step and drawing a batch take {replay:.0%} of a step's time. Try a "
            "smaller --learner.batch-size, or fewer --learner.updates-per-step."
        )
    if share < GOOD_SHARE:
        return (
            f"What goes on around the updates limits it: the whole runs at {share:.2f} of their rate alone, and the "
            "trainer hardly waits. Try a larger --loop.updates-per-call, or more --rollout.environments-per-worker, "
            "which takes less of the processor from the trainer."
        )
    return (
        f"Updates limit it: the whole runs at {share:.2f} of their rate alone. Try fewer --learner.updates-per-step, "
        "smaller networks, or an accelerator."
    )


class Table:
    """Rows, printed as they are measured.

    :ivar rows: what was shown.
    """

    def __init__(self) -> None:
        """Begin with no rows."""
        self.rows: list[dict[str, Any]] = []

    def show(self, part: str, *, rate: float, **more: Any) -> None:
        """Add a row.

        :param part: what was measured.
        :param rate: of it, a second.
        :param more: what else is to be said.
        """
        self.rows.append({"part": part, "rate": round(rate, 1), **more})
        rest = "".join(f"  {name} {value}" for name, value in more.items())
        print(f"{part:<28}{rate:>12,.0f} / s{rest}", flush=True)


def measure_collection(
    bench: Bench, *, table: Table, environment: float, workers: list[int], environments: list[int]
) -> dict[int, float]:
    """Measure the policy and collecting, for each number of environments.

    :param bench: what is measured.
    :param table: where it is shown.
    :param environment: steps a second of the environment alone.
    :param workers: numbers of workers.
    :param environments: numbers of environments of a worker.
    :return: actions a second of the policy alone, by the number of environments.
    """
    bare: dict[int, float] = {}
    policies: dict[int, float] = {}
    for count in environments:
        policy = policies[count] = as_in_a_worker(bare_policy, bench, environments=count)
        table.show("policy alone", rate=policy, environments=count)
        table.show("one after the other", rate=1.0 / (1.0 / environment + 1.0 / policy), environments=count)
        bare[count] = as_in_a_worker(bare_loop, bench, environments=count)
        table.show("bare loop", rate=bare[count], environments=count)
        table.show("bare loop, JAX's dispatch", rate=bare_loop(bench, environments=count), environments=count)
        rate = collection(bench, environments_per_worker=count)
        table.show("collection in line", rate=rate, environments=count, share=round(rate / bare[count], 2))
    for number, count in itertools.product(workers, environments):
        rate = collection(bench, backend="processes", workers=number, environments_per_worker=count)
        share = round(rate / bare[count], 2)
        table.show("collection by workers", rate=rate, workers=number, environments=count, share=share)
    return policies


def measure_whole(
    bench: Bench, *, table: Table, workers: list[int], environments: list[int]
) -> tuple[dict[str, float], str, int]:
    """Measure updates alone, and training in line and with each number of workers and environments.

    :param bench: what is measured.
    :param table: where it is shown.
    :param workers: numbers of workers.
    :param environments: numbers of environments of a worker.
    :return: what :func:`whole_loop` found where it came nearest to the rate of updates alone, the options that it had
        there, and how many environments a worker had.
    """
    experiment = bench.experiment()
    updates = updates_meter(experiment, updates_per_call=experiment.loop.updates_per_call)
    table.show("updates alone", rate=updates(round(200 * bench.seconds)))
    found = whole_loop(bench, updates=updates)
    table.show("the whole, in line", rate=found["rate"], **_rounded(found))
    best, best_options, best_count = found, "--rollout.backend inline", 1
    for number, count in itertools.product(workers, environments):
        rollout = {"backend": "processes", "workers": number, "environments_per_worker": count}
        found = whole_loop(bench, updates=updates, **rollout)
        shown = {"workers": number, "environments": count, **_rounded(found)}
        table.show("the whole, with workers", rate=found["rate"], **shown)
        # Not by the rate: a shared machine is faster in some minutes than in others.
        if found["share"] > best["share"]:
            options = f"--rollout.workers {number} --rollout.environments-per-worker {count}"
            best, best_options, best_count = found, options, count
    return best, best_options, best_count


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(found[name], 3) for name in ("share", "waiting")}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--environment", default="Pendulum-v1", help="a Gymnasium id, with actions in a Box (default: Pendulum-v1)"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="numbers of workers (default: 1 2 4)")
    parser.add_argument("--environments", type=int, nargs="+", default=[1, 8, 32], help="of each (default: 1 8 32)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default: 3)")
    parser.add_argument("--output", type=Path, help="a file of JSON rows to append to")
    arguments = parser.parse_args()
    bench = Bench(environment=arguments.environment, seconds=arguments.seconds)
    counts = {"workers": arguments.workers, "environments": arguments.environments}
    table = Table()
    environment = bare_environment(bench)
    table.show("environment alone", rate=environment)
    policies = measure_collection(bench, table=table, environment=environment, **counts)
    replay = replay_rates(bench)
    for part, rate in replay.items():
        table.show(f"replay: {part}", rate=rate)
    best, options, count = measure_whole(bench, table=table, **counts)
    said = advice(
        waiting=best["waiting"],
        share=best["share"],
        replay=best["rate"] * (1.0 / replay["insert"] + 1.0 / replay["sample"]),
        environment=environment,
        policy=policies.get(count, policies[arguments.environments[0]]),
    )
    conclusion = f"Best with {options}. {said}"
    print(conclusion)
    if arguments.output is not None:
        document = {
            "command": f"python benchmarks/throughput.py {shlex.join(sys.argv[1:])}",
            "environment": arguments.environment,
            "date": date.today().isoformat(),
            "rows": table.rows,
            "conclusion": conclusion,
            "machine": environment_description().to_json(),
        }
        with arguments.output.open("a") as file:
            file.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
