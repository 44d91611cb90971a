"""
The peer's side of the comparison with SBX (Stable Baselines JAX): learning curves and speed.

    .venv-sbx/bin/python benchmarks/peer_sbx.py learn --algorithm sac --environment HalfCheetah-v5 --output FILE.jsonl
    .venv-sbx/bin/python benchmarks/peer_sbx.py speed --algorithm sac --environment HalfCheetah-v5
    .venv-sbx/bin/python benchmarks/peer_sbx.py serve --algorithm sac --environment HalfCheetah-v5

`learn` trains, evaluates at equal intervals, and writes a JSON row per evaluation; `speed` prints a JSON line; `serve`
stays alive and measures a piece whenever it is asked to on its input, so that another program can take turns with it.
README.md beside this file describes rows and protocol. Runs in the peer's environment (`set_up_peer.sh`) and imports
nothing of Triax.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TextIO

from peer_meters import (
    LoopMeter,
    Meter,
    UpdateMeter,
    measure_in_turns,
    median_rate,
    ready_ppo,
    ready_sac,
)
from peer_models import PpoSettings, SacSettings, Settings, Vector, hardware, make_model, versions, wait_for
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

EVALUATION_SEED = 1_000_000
"""
Episode i of each evaluation of a run with seed s starts from environment seed EVALUATION_SEED + 1000 s + i: the same
initial states at each evaluation of a run, and none that it trains from.
"""

ITERATIONS_TO_CHOOSE = 3
"""
PPO's iterations in a measurement when the faster of two vectors is to be found.
"""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """
    How long to learn, and when to evaluate.

    :param steps: environment steps.
    :param interval: environment steps between evaluations; there is one at 0, too.
    :param episodes: in each evaluation.
    """

    steps: int
    interval: int
    episodes: int


def head_row(*, algorithm: str, settings: Settings) -> dict[str, Any]:
    """
    :param algorithm: "sac" or "ppo".
    :param settings: of the learner.
    :return: what was run, with which versions, on what.
    """
    return {
        "library": "sbx",
        "algorithm": algorithm,
        "environment": settings.environment,
        "seed": settings.seed,
        "settings": asdict(settings) | {"hidden": list(settings.hidden)},
        "versions": versions(),
        "hardware": hardware(),
    }


def learn(*, algorithm: str, settings: Settings, schedule: Schedule) -> Iterator[dict[str, Any]]:
    """
    Train and evaluate. The time that is reported is training's, compilation included and evaluation excluded.

    :param algorithm: "sac" or "ppo".
    :param settings: of the learner.
    :param schedule: when to evaluate, and when to end.
    :return: a row that describes the run, then a row for each evaluation.
    """
    head = head_row(algorithm=algorithm, settings=settings)
    began = {"date": date.today().isoformat(), "schedule": asdict(schedule), "evaluation_seed": EVALUATION_SEED}
    yield {"kind": "run", **head, **began}
    # Before the model, which seeds NumPy's global generator: this draws from that, and SBX's replay buffer does too.
    evaluation = make_vec_env(settings.environment, n_envs=schedule.episodes)
    model = make_model(settings)
    wall_seconds = 0.0
    for goal in [*range(0, schedule.steps, schedule.interval), schedule.steps]:
        start = time.perf_counter()
        if goal > model.num_timesteps:
            model.learn(goal - model.num_timesteps, reset_num_timesteps=False)
            wait_for(model)
        wall_seconds += time.perf_counter() - start
        # One episode in each environment: seeds reach an environment at the reset with which evaluate_policy begins.
        evaluation.seed(EVALUATION_SEED + 1000 * settings.seed)
        returns, _ = evaluate_policy(
            model,
            evaluation,
            n_eval_episodes=schedule.episodes,
            deterministic=True,
            return_episode_rewards=True,
        )
        returns = [float(value) for value in returns]
        yield {
            "kind": "evaluation",
            "library": "sbx",
            "algorithm": algorithm,
            "environment": settings.environment,
            "seed": settings.seed,
            "environment_steps": model.num_timesteps,
            "wall_seconds": round(wall_seconds, 3),
            "returns": returns,
            "mean": sum(returns) / len(returns),
        }


def write_learning(*, algorithm: str, settings: Settings, schedule: Schedule, output: Path) -> None:
    """
    Write a run's rows, unless the file is there: it gets its name when the run is complete, and not before.

    :param algorithm: "sac" or "ppo".
    :param settings: of the learner.
    :param schedule: when to evaluate, and when to end.
    :param output: the file, JSON lines.
    :raises SystemExit: if the file is there and is of another run.
    """
    if output.exists():
        with output.open() as lines:
            found = json.loads(next(lines))
        wanted = {"algorithm": algorithm, "settings": asdict(settings), "schedule": asdict(schedule)}
        wanted = json.loads(json.dumps(wanted))  # tuples become lists
        if {key: found.get(key) for key in wanted} != wanted:
            raise SystemExit(f"{output} is there, and is of a run with other settings")
        print(f"{output} is complete", file=sys.stderr)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(output.name + ".partial")
    with partial.open("w") as lines:
        for row in learn(algorithm=algorithm, settings=settings, schedule=schedule):
            print(json.dumps(row), file=lines, flush=True)
            if row["kind"] == "evaluation":
                print(f"{row['environment_steps']:>9} steps  mean return {row['mean']:.1f}", file=sys.stderr)
    partial.replace(output)


def faster_vector(settings: PpoSettings, *, iterations: int, rounds: int) -> tuple[LoopMeter, dict[str, Any]]:
    """
    Measure PPO with environments in one process and in a process each, in turns.

    :param settings: of the learner; `vector` is not read.
    :param iterations: of PPO, in each measurement.
    :param rounds: measurements of each.
    :return: the faster one's meter, and all figures. The slower one's environments are closed.
    """
    meters: dict[Vector, LoopMeter] = {
        "dummy": LoopMeter(model=ready_ppo(replace(settings, vector="dummy"))),
        "subproc": LoopMeter(model=ready_ppo(replace(settings, vector="subproc"))),
    }
    amount = iterations * settings.environments * settings.steps_per_environment
    measurements = measure_in_turns(meters=meters, amount=amount, rounds=rounds)
    # By the fastest of each: other work on the machine only ever slows a measurement down.
    best = max(meters, key=lambda name: max(measurement.rate for measurement in measurements[name]))
    for name, meter in meters.items():
        if name != best:
            meter.model.env.close()
    figures = {name: [measurement.as_row() for measurement in measurements[name]] for name in meters}
    return meters[best], {"vector": best, "rate": round(median_rate(measurements[best]), 2), "measurements": figures}


def settings_of(arguments: argparse.Namespace) -> Settings:
    """
    :param arguments: of the command line.
    :return: the learner's settings; what the command line does not say is the default.
    """
    settings: Settings
    settings_type = SacSettings if arguments.algorithm == "sac" else PpoSettings
    names = set(settings_type.__dataclass_fields__)
    # "faster" is for the commands to find out; "dummy" stands for it until then.
    given = {name: value for name, value in vars(arguments).items() if value is not None and value != "faster"}
    settings = settings_type(**{name: value for name, value in given.items() if name in names})
    return settings


def run_learn(arguments: argparse.Namespace, answers: TextIO) -> None:
    """
    :param arguments: of the command line.
    :param answers: not used; rows go to a file.
    """
    settings = settings_of(arguments)
    if isinstance(settings, SacSettings):
        # More capacity than steps changes nothing and takes memory.
        settings = replace(settings, replay_capacity=min(settings.replay_capacity, arguments.steps))
    schedule = Schedule(
        steps=arguments.steps, interval=arguments.evaluation_interval, episodes=arguments.evaluation_episodes
    )
    write_learning(algorithm=arguments.algorithm, settings=settings, schedule=schedule, output=arguments.output)


def run_speed(arguments: argparse.Namespace, answers: TextIO) -> None:
    """
    :param arguments: of the command line.
    :param answers: where the JSON line goes.
    """
    settings = settings_of(arguments)
    row: dict[str, Any] = {"what": arguments.what, **head_row(algorithm=arguments.algorithm, settings=settings)}
    if isinstance(settings, PpoSettings):
        amount = arguments.iterations * settings.environments * settings.steps_per_environment
        if arguments.vector == "faster":
            _, figures = faster_vector(settings, iterations=arguments.iterations, rounds=arguments.rounds)
        else:
            meters = {settings.vector: LoopMeter(model=ready_ppo(settings))}
            measurements = measure_in_turns(meters=meters, amount=amount, rounds=arguments.rounds)[settings.vector]
            rows = [measurement.as_row() for measurement in measurements]
            figures = {"rate": round(median_rate(measurements), 2), "measurements": rows}
        row |= figures
    elif arguments.what == "loop":
        loop = LoopMeter(model=ready_sac(settings))
        measurements = [loop.measure(arguments.steps) for _ in range(arguments.rounds)]
        row |= {"rate": round(median_rate(measurements), 2), "measurements": [m.as_row() for m in measurements]}
    else:
        model = ready_sac(settings)
        row["updates_per_call"] = {}
        for updates_per_call in arguments.updates_per_call:
            updates = UpdateMeter(model=model, batch_size=settings.batch_size, updates_per_call=updates_per_call)
            measurements = [updates.measure(arguments.steps) for _ in range(arguments.rounds)]
            row["updates_per_call"][updates_per_call] = {
                "rate": round(median_rate(measurements), 2),
                "measurements": [measurement.as_row() for measurement in measurements],
            }
    print(json.dumps(row), file=answers, flush=True)


def run_serve(arguments: argparse.Namespace, answers: TextIO) -> None:
    """
    Answer requests, one a line, until "quit" or the end of the input.

    :param arguments: of the command line.
    :param answers: where answers go, one JSON line each; the first says that all is compiled.
    """
    settings = settings_of(arguments)
    head: dict[str, Any] = {"kind": "ready", "what": arguments.what}
    meter: Meter
    if isinstance(settings, PpoSettings) and arguments.vector == "faster":
        meter, figures = faster_vector(settings, iterations=ITERATIONS_TO_CHOOSE, rounds=3)
        settings = replace(settings, vector=figures["vector"])
        head["choice"] = figures
    elif isinstance(settings, PpoSettings):
        meter = LoopMeter(model=ready_ppo(settings))
    elif arguments.what == "loop":
        meter = LoopMeter(model=ready_sac(settings))
    else:
        if len(arguments.updates_per_call) != 1:
            raise SystemExit("serve takes one --updates-per-call")
        head["updates_per_call"] = arguments.updates_per_call[0]
        meter = UpdateMeter(
            model=ready_sac(settings), batch_size=settings.batch_size, updates_per_call=arguments.updates_per_call[0]
        )
    head |= head_row(algorithm=arguments.algorithm, settings=settings)
    print(json.dumps(head), file=answers, flush=True)
    for line in sys.stdin:
        answer: dict[str, Any]
        match line.split():
            case ["measure", amount] if amount.isdecimal() and int(amount) > 0:
                answer = {"kind": "measurement", **meter.measure(int(amount)).as_row()}
            case ["quit"]:
                break
            case _:
                answer = {"kind": "error", "message": f'not "measure N" or "quit": {line.strip()}'}
        print(json.dumps(answer), file=answers, flush=True)
    meter.model.env.close()


def parser() -> argparse.ArgumentParser:
    """:return: the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--algorithm", choices=["sac", "ppo"], required=True)
    common.add_argument("--environment", required=True, help="Gymnasium's id, such as HalfCheetah-v5")
    common.add_argument("--seed", type=int, default=0)
    common.add_argument("--hidden", type=int, nargs="+", help="units of each hidden layer (SAC 256 256, PPO 64 64)")
    common.add_argument("--batch-size", type=int, help="of SAC (256)")
    common.add_argument("--warmup", type=int, help="of SAC: random steps before the first update (1000)")
    common.add_argument("--environments", type=int, help="of PPO (8)")
    common.add_argument("--steps-per-environment", type=int, help="of PPO, in an iteration (256)")
    common.add_argument("--minibatch", type=int, help="of PPO (256)")
    common.add_argument("--epochs", type=int, help="of PPO (10)")

    commands = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command = commands.add_subparsers(required=True)

    learning = command.add_parser("learn", parents=[common], help="train and evaluate, into a file")
    learning.add_argument("--steps", type=int, default=50_000)
    learning.add_argument("--evaluation-interval", type=int, default=2_500)
    learning.add_argument("--evaluation-episodes", type=int, default=10)
    learning.add_argument("--vector", choices=["dummy", "subproc"], help="of PPO's environments (dummy)")
    learning.add_argument("--output", type=Path, required=True)
    learning.set_defaults(run=run_learn)

    speed = command.add_parser("speed", parents=[common], help="print a figure")
    speed.add_argument("--steps", type=int, default=4_000, help="of SAC, or updates, in each measurement")
    speed.add_argument("--iterations", type=int, default=20, help="of PPO, in each measurement")
    speed.add_argument("--rounds", type=int, default=3, help="measurements; the figure is their median")
    speed.set_defaults(run=run_speed)

    serve = command.add_parser("serve", parents=[common], help='answer "measure N" lines until "quit"')
    serve.set_defaults(run=run_serve)

    for timed, updates_per_call in [(speed, [1, 64]), (serve, [1])]:
        timed.add_argument("--what", choices=["loop", "updates"], default="loop", help="updates: SAC's, without a loop")
        timed.add_argument("--updates-per-call", type=int, nargs="+", default=updates_per_call)
        timed.add_argument("--vector", choices=["dummy", "subproc", "faster"], default="faster")
    return commands


@contextmanager
def standard_output_for_answers() -> Iterator[TextIO]:
    """
    Keep standard output for JSON: whatever a library prints goes to standard error meanwhile.

    :return: standard output.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        yield answers
    finally:
        sys.stdout = answers


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    if arguments.hidden is not None:
        arguments.hidden = tuple(arguments.hidden)
    if getattr(arguments, "what", "loop") == "updates" and arguments.algorithm == "ppo":
        raise SystemExit("--what updates is for SAC")
    with standard_output_for_answers() as answers:
        arguments.run(arguments, answers)


# Worker processes import this file.
if __name__ == "__main__":
    main()
