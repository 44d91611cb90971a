"""From an experiment to its parts: specs, learner, loop, evaluator. Everything that cannot work is refused here."""

import contextlib
import dataclasses
import functools
from typing import Any

import jax

from triax.datasets import DatasetSource, join_datasets, load_dataset
from triax.evaluation import Evaluator, EvaluatorProcess
from triax.learners.interface import (
    DatasetPlan,
    Learner,
    LearnerConfig,
    MixturePlan,
    OnPolicyPlan,
    ReplayPlan,
)
from triax.random import derive_seed
from triax.replay import BatchSource, MixturePart, MixtureSource, Replay, available_bytes
from triax.rollout import Fleet, InlineFleet, RolloutConfig
from triax.rollout.cluster import RayFleet
from triax.rollout.collector import blank_trajectory
from triax.rollout.processes import ProcessFleet
from triax.rollout.seeded import close_environment
from triax.training.devices import DEFAULT_PLACEMENT, Placement
from triax.training.experiment import Experiment
from triax.training.loops import Loop, OfflineLoop, OnPolicyLoop, ReplayLoop
from triax.training.recorded import load_recorded, recorded_parts
from triax.types import EnvironmentSpec, Policy, Trajectory

WORKER_FLEETS: dict[str, type[ProcessFleet] | type[RayFleet]] = {"processes": ProcessFleet, "ray": RayFleet}
"""Fleets of workers, by ``rollout.backend``."""

SHORTEST_CHUNK = 4
"""Steps of each environment in a worker's chunk for a replay, at least: shorter ones take as long to send."""

WORKER_BYTES = 150 * 2**20
"""What a worker process takes at least: Python, JAX, Gymnasium, a compiled policy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of an experiment.

    :ivar spec: of observations and actions.
    :ivar learner: the algorithm.
    :ivar loop: advances learning.
    :ivar evaluator: None where there is no environment.
    :ivar notes: what the user should know at the start, a line each.
    """

    spec: EnvironmentSpec
    learner: Learner[Any]
    loop: Loop
    evaluator: Evaluator | EvaluatorProcess | None
    notes: tuple[str, ...]

    def close(self) -> None:
        """Close environments. Can be called twice."""
        self.loop.close()
        if self.evaluator is not None:
            self.evaluator.close()


def environment_spec(*, experiment: Experiment) -> EnvironmentSpec:
    """Read the spaces of the environment, or of the dataset where there is none.

    :param experiment: the experiment.
    :return: the specs.
    :raises UnsupportedSpace: if a space has no inside form, or a relation names what is not there.
    """
    if experiment.environment is None:
        if experiment.relations:
            raise ValueError(
                f"Experiment.relations={experiment.relations!r} are of an environment's action, and there is no "
                "environment; set Experiment.environment to the one that the dataset was recorded in."
            )
        dataset = load_dataset(experiment.datasets[0])
        return EnvironmentSpec(observation=dataset.observation_spec, action=dataset.action_spec)
    environment = experiment.environment.make()
    try:
        return EnvironmentSpec.of_spaces(
            observation=environment.observation_space,
            action=environment.action_space,
            relations=experiment.relations,
        )
    finally:
        close_environment(environment)


def build(*, experiment: Experiment, placement: Placement = DEFAULT_PLACEMENT) -> Parts:
    """Build everything that an experiment names.

    :param experiment: the experiment.
    :param placement: on which devices updates are computed; see :func:`triax.training.devices.placement_of`.
    :return: its parts.
    :raises ValueError: if the parts do not fit together, with the field and the remedy.
    """
    spec = environment_spec(experiment=experiment)
    learner = experiment.learner.build(observation_spec=spec.observation, action_spec=spec.action)
    if experiment.datasets and not isinstance(learner.data_plan, DatasetPlan | MixturePlan):
        raise ValueError(
            f"Experiment.dataset is set, and {type(learner).__name__} learns from an environment alone; leave it out, "
            "or set `prefill` to fill a replay with it."
        )
    loop: Loop
    notes: list[str] = []
    with contextlib.ExitStack() as made:
        match learner.data_plan:
            case OnPolicyPlan() as plan:
                fleet = _on_policy_fleet(experiment=experiment, learner=learner, spec=spec, plan=plan, made=made)
                loop = OnPolicyLoop(
                    learner=learner,
                    plan=plan,
                    fleet=fleet,
                    environments=fleet.environments,
                    maximum_policy_lag=experiment.rollout.maximum_policy_lag,
                    seed=experiment.seed,
                    placement=placement,
                )
            case ReplayPlan() as plan:
                loop = _replay_loop(
                    experiment=experiment, learner=learner, spec=spec, plan=plan, placement=placement, made=made
                )
                notes.append(loop.replay.describe_memory())
            case DatasetPlan() as plan:
                loop = _offline_loop(experiment=experiment, learner=learner, plan=plan, spec=spec, placement=placement)
            case MixturePlan() as plan:
                loop = _replay_loop(
                    experiment=experiment,
                    learner=learner,
                    spec=spec,
                    plan=plan.replay,
                    recorded=plan.dataset,
                    placement=placement,
                    made=made,
                )
                notes.append(loop.replay.describe_memory())
            case other:
                raise TypeError(f"{type(learner).__name__}.data_plan is {other!r}, which no training loop knows.")
        parts = Parts(
            spec=spec,
            learner=learner,
            loop=loop,
            evaluator=_evaluator(experiment=experiment, learner=learner, spec=spec),
            notes=tuple(notes),
        )
        made.pop_all()
    return parts


def _evaluator(
    *, experiment: Experiment, learner: Learner[Any], spec: EnvironmentSpec
) -> Evaluator | EvaluatorProcess | None:
    backend = experiment.evaluation.backend
    if backend == "inline" or (backend == "auto" and experiment.rollout.backend == "inline"):
        return build_evaluator(experiment=experiment, learner=learner, spec=spec)
    if experiment.environment is None:
        return None
    return EvaluatorProcess(
        make=experiment.environment.make,
        make_policy=functools.partial(make_policy, config=experiment.learner, spec=spec),
        observation_spec=spec.observation,
        action_spec=spec.action,
        config=experiment.evaluation,
        supervision=experiment.rollout.supervision,
        niceness=experiment.rollout.niceness,
    )


def build_evaluator(*, experiment: Experiment, learner: Learner[Any], spec: EnvironmentSpec) -> Evaluator | None:
    """Build what evaluates policies of an experiment.

    :param experiment: the experiment.
    :param learner: whose policy.
    :param spec: of its environment.
    :return: the evaluator; None where there is no environment.
    """
    if experiment.environment is None:
        return None
    return Evaluator(
        make=experiment.environment.make,
        policy=learner.policy,
        observation_spec=spec.observation,
        action_spec=spec.action,
        config=experiment.evaluation,
    )


def _fleet(
    *,
    experiment: Experiment,
    learner: Learner[Any],
    spec: EnvironmentSpec,
    chunk_steps: int,
    made: contextlib.ExitStack,
) -> Fleet:
    """Make the fleet that an experiment names.

    :param made: closes it, if what comes after fails.
    """
    if experiment.environment is None:
        raise ValueError(
            f"Experiment.environment=None: {type(learner).__name__} learns from an environment; set the field."
        )
    seed = derive_seed(seed=experiment.seed, name=("rollout",))
    if experiment.rollout.backend != "inline" and experiment.rollout.ray_address is None:
        chunk = blank_trajectory(
            observation_spec=spec.observation,
            action_spec=spec.action,
            extras_spec=learner.extras_spec,
            steps=chunk_steps,
            environments=experiment.rollout.environments_per_worker,
        )
        _check_memory(rollout=experiment.rollout, chunk=chunk)
    fleet: Fleet
    if experiment.rollout.backend in WORKER_FLEETS:
        fleet = WORKER_FLEETS[experiment.rollout.backend](
            config=experiment.rollout,
            make=experiment.environment.make,
            make_policy=functools.partial(make_rollout_policy, config=experiment.learner, spec=spec),
            observation_spec=spec.observation,
            action_spec=spec.action,
            extras_spec=learner.extras_spec,
            chunk_steps=chunk_steps,
            seed=seed,
        )
    else:
        fleet = InlineFleet(
            config=experiment.rollout,
            make=experiment.environment.make,
            policy=learner.rollout_policy,
            observation_spec=spec.observation,
            action_spec=spec.action,
            extras_spec=learner.extras_spec,
            seed=seed,
        )
    made.callback(fleet.close)
    return fleet


def _check_memory(*, rollout: RolloutConfig, chunk: Trajectory) -> None:
    """Refuse more workers than there is memory for on this machine.

    :param chunk: what a worker sends at a time; its channel holds one more than it may be ahead.
    """
    chunk_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(chunk))
    each = WORKER_BYTES + (rollout.lead + 1) * chunk_bytes
    needed, available = rollout.workers * each, available_bytes()
    if available is None or needed <= available:
        return
    chunks = f"{rollout.lead + 1} chunks of {chunk_bytes / 2**20:,.1f} MiB"
    most, bulky = available // each, each > 2 * WORKER_BYTES
    remedy = "a smaller rollout.lead or shorter chunks" if bulky else "more rollout.environments_per_worker"
    raise ValueError(
        f"rollout.workers={rollout.workers}: they take at least {needed / 2**30:.1f} GiB of memory (each "
        f"{WORKER_BYTES / 2**20:.0f} MiB, and {chunks} on their way), and {available / 2**30:.1f} GiB are available; "
        f"use {f'at most {most}, with ' if most else ''}{remedy}, or a cluster."
    )


def _on_policy_fleet(
    *,
    experiment: Experiment,
    learner: Learner[Any],
    spec: EnvironmentSpec,
    plan: OnPolicyPlan,
    made: contextlib.ExitStack,
) -> Fleet:
    if not plan.corrects_lag:
        # A chunk that is so many chunks ahead is so many policies old when its turn comes.
        rollout = experiment.rollout
        rollout = dataclasses.replace(rollout, lead=max(1, min(rollout.lead, rollout.maximum_policy_lag)))
        experiment = dataclasses.replace(experiment, rollout=rollout)
    return _fleet(experiment=experiment, learner=learner, spec=spec, chunk_steps=plan.steps, made=made)


def _replay_loop(
    *,
    experiment: Experiment,
    learner: Learner[Any],
    spec: EnvironmentSpec,
    plan: ReplayPlan,
    recorded: DatasetPlan | None = None,
    placement: Placement,
    made: contextlib.ExitStack,
) -> ReplayLoop:
    replay = _replay(experiment=experiment, learner=learner, spec=spec, plan=plan)
    source: BatchSource = replay
    batch_size = plan.batch_size
    if recorded is not None:
        datasets = load_recorded(experiment=experiment, learner=learner, plan=recorded, spec=spec)
        parts = recorded_parts(configs=experiment.datasets, datasets=datasets, batch_size=recorded.batch_size)
        source = MixtureSource(parts=(MixturePart(source=replay, rows=plan.batch_size), *parts))
        batch_size += recorded.batch_size
    return ReplayLoop(
        learner=learner,
        plan=plan,
        batch_size=batch_size,
        fleet=_replay_fleet(experiment=experiment, learner=learner, spec=spec, plan=plan, made=made),
        replay=replay,
        source=source,
        updates_per_call=experiment.loop.updates_per_call,
        ratio_tolerance=experiment.loop.ratio_tolerance,
        seed=experiment.seed,
        placement=placement,
    )


def _replay_fleet(
    *,
    experiment: Experiment,
    learner: Learner[Any],
    spec: EnvironmentSpec,
    plan: ReplayPlan,
    made: contextlib.ExitStack,
) -> Fleet:
    # As many steps a chunk as one compiled call of updates asks for, unless that would be hardly any.
    rows = experiment.loop.updates_per_call / plan.updates_per_step
    chunk_steps = max(SHORTEST_CHUNK, round(rows / experiment.rollout.environments))
    return _fleet(experiment=experiment, learner=learner, spec=spec, chunk_steps=chunk_steps, made=made)


def make_policy(*, config: LearnerConfig, spec: EnvironmentSpec) -> Policy:
    """Make a learner's policy, for a process that evaluates it.

    :param config: the learner's.
    :param spec: of its environment.
    :return: the policy.
    """
    learner: Learner[Any] = config.build(observation_spec=spec.observation, action_spec=spec.action)
    return learner.policy


def make_rollout_policy(*, config: LearnerConfig, spec: EnvironmentSpec) -> Policy:
    """Make the policy by which a learner's experience is made, for a process that makes it.

    :param config: the learner's.
    :param spec: of its environment.
    :return: the policy.
    """
    learner: Learner[Any] = config.build(observation_spec=spec.observation, action_spec=spec.action)
    return learner.rollout_policy


def _replay(*, experiment: Experiment, learner: Learner[Any], spec: EnvironmentSpec, plan: ReplayPlan) -> Replay:
    # A short run keeps everything in less room than the config allows, also if one worker makes all of it. Episodes of
    # one step have as many final observations as steps.
    uneven = 1 if experiment.rollout.backend == "inline" else experiment.rollout.workers
    capacity, most_rows = experiment.replay.capacity, None
    if experiment.prefill is None:
        most_rows = 2 * max(experiment.total_steps, plan.batch_size)
        capacity = min(capacity, most_rows * uneven)
    replay = Replay(
        config=dataclasses.replace(experiment.replay, capacity=capacity),
        observation_spec=spec.observation,
        action_spec=spec.action,
        extras_spec=learner.extras_spec,
        streams=experiment.rollout.environments,
        most_rows=most_rows,
    )
    replay.check_plan(unit=plan.unit, batch_size=plan.batch_size)
    return replay


def _offline_loop(
    *, experiment: Experiment, learner: Learner[Any], plan: DatasetPlan, spec: EnvironmentSpec, placement: Placement
) -> OfflineLoop:
    datasets = load_recorded(experiment=experiment, learner=learner, plan=plan, spec=spec)
    held_out = None
    if plan.held_out_fraction > 0.0:
        seed = derive_seed(seed=experiment.seed, name=("held out",))
        parts = [dataset.split(held_out_fraction=plan.held_out_fraction, seed=seed) for dataset in datasets]
        datasets = tuple(part.training for part in parts)
        held_out = DatasetSource(join_datasets([part.held_out for part in parts])).everything(unit=plan.unit)
    recorded = recorded_parts(configs=experiment.datasets, datasets=datasets, batch_size=plan.batch_size)
    return OfflineLoop(
        learner=learner,
        plan=plan,
        training=join_datasets(datasets).trajectory,
        source=recorded[0].source if len(recorded) == 1 else MixtureSource(parts=recorded),
        held_out=held_out,
        updates_per_call=experiment.loop.updates_per_call,
        seed=experiment.seed,
        placement=placement,
    )
