"""Training runs from outside: begin one, go on with one."""

import contextlib
import dataclasses
import warnings
from pathlib import Path
from typing import Any, Literal

import triax
from triax.datasets import load_dataset
from triax.environments import EnvironmentConfig
from triax.evaluation import Evaluator, render_episode
from triax.programs import triax_command
from triax.random import derive_seed
from triax.rollout import NonFiniteAction, WorkersFailed
from triax.rollout.processes.spawning import check_not_imported_by_child
from triax.runs import (
    CheckpointFailed,
    CheckpointStore,
    EnvironmentDescription,
    EvaluationRow,
    LogLengths,
    NoCheckpoint,
    Progress,
    RunDirectory,
    RunError,
    RunLogs,
    default_run_directory,
    environment_description,
    plot_run,
    read_evaluations,
    write_video,
)
from triax.training.building import Parts, build
from triax.training.description import FORMAT, describe, named_modules, pinned, read_document, restore
from triax.training.devices import placement_of
from triax.training.evaluating import BackgroundEvaluating, Evaluating, InlineEvaluating
from triax.training.experiment import Experiment
from triax.training.importing import check_sources, main_module_name, own_sources, resolver, source_hash
from triax.training.interrupts import StopRequest, TrainingInterrupted
from triax.training.loading import loaded_parameters
from triax.training.metrics import Diverged
from triax.training.trainer import TRAINING_PART, Trainer, TrainingOutcome


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a finished run leaves.

    :ivar run_directory: where everything lies.
    :ivar evaluations: all evaluations, oldest first.
    :ivar reason: why it ended.
    """

    run_directory: Path
    evaluations: tuple[EvaluationRow, ...]
    reason: str


def train(*, experiment: Experiment, run_directory: Path | str | None = None) -> TrainingResult:
    """Train from the beginning to the end.

    :param experiment: what to do.
    :param run_directory: a new or empty folder; None makes one under ``runs/``.
    :return: where the results lie.
    :raises TrainingInterrupted: on Ctrl-C or ``kill``, after a checkpoint was made.
    :raises Diverged: if what is learned is not finite; the message names the last checkpoint, which is from before.
    :raises CheckpointFailed: at the end, if that could not be saved.
    :raises RunDirectoryError: if the folder holds something already.
    :raises ValueError: if the experiment cannot work; the message names the field, the value and the remedy.
    """
    check_not_imported_by_child()
    experiment = pinned(experiment)
    description = describe(experiment)
    placement = placement_of(experiment.device)
    with placement.computing(), contextlib.closing(build(experiment=experiment, placement=placement)) as parts:
        begin(experiment=experiment, parts=parts)
        path = default_run_directory(experiment.name) if run_directory is None else Path(run_directory)
        run = RunDirectory.create(path, _document(experiment=experiment, description=description, parts=parts))
        return _run(experiment=experiment, parts=parts, run=run, checkpoint=None)


def resume(
    *,
    run_directory: Path | str,
    checkpoint: Literal["last"] | int = "last",
    allow_changed_source: bool = False,
    device: str | None = None,
) -> TrainingResult:
    """Go on with a run that was stopped, from a checkpoint that holds everything.

    :param run_directory: of the run.
    :param checkpoint: the newest complete one, or the one of these steps; later ones are discarded.
    :param allow_changed_source: go on although the experiment's Python source is not what it was.
    :param device: where to go on, named as in :class:`~triax.training.experiment.Experiment`; None: where the
        experiment says. A checkpoint does not depend on the devices; sums differ between them by rounding.
    :return: where the results lie.
    :raises RunDirectoryError: if it is not a run directory, or another process trains in it.
    :raises SourceChanged: if the source has changed, or is nowhere to be found.
    :raises CheckpointDamaged: if the checkpoint is not as it was written; the message offers another.
    :raises TrainingInterrupted: on Ctrl-C or ``kill``, after a checkpoint was made.
    """
    check_not_imported_by_child()
    run = RunDirectory.open(Path(run_directory))
    document = read_document(run)
    if not allow_changed_source:
        check_sources(hashes=document["sources"], paths=document.get("source_paths", {}))
    experiment: Experiment = restore(document["experiment"], resolve=resolver(run_directory=run.path))
    placement = placement_of(device or experiment.device)
    machine = environment_description(devices=placement.devices)
    differences = EnvironmentDescription.from_json(document["machine"]).differences(machine)
    if differences:
        warnings.warn(
            "this run was made elsewhere, so that resuming may not be exact to the bit: " + "; ".join(differences),
            stacklevel=2,
        )
    store = CheckpointStore(run.checkpoints_path, keep_last=experiment.checkpoint.keep_last)
    try:
        steps: int | None = store.resolve(checkpoint, full=True)
    except NoCheckpoint:
        # What is left of checkpoints that were whole is the user's; policies to be evaluated are none of them.
        if checkpoint != "last" or any(store.counters(policy) for policy in store.steps()):
            raise
        steps = None  # Stopped before the first one: begin again.
    with placement.computing(), contextlib.closing(build(experiment=experiment, placement=placement)) as parts:
        if steps is None:
            begin(experiment=experiment, parts=parts)
        return _run(experiment=experiment, parts=parts, run=run, checkpoint=steps)


def begin(*, experiment: Experiment, parts: Parts) -> None:
    """Do what a run does once, before its first iteration; what is resumed has it in its checkpoint.

    :param experiment: says what to load, and what the replay begins with.
    :param parts: whose loop is to begin.
    :raises ValueError: if what is to be loaded does not fit.
    """
    if experiment.prefill is not None:
        recorded = load_dataset(
            experiment.prefill, observation_spec=parts.spec.observation, action_spec=parts.spec.action
        )
        parts.loop.prefill(experience=recorded.trajectory, task=recorded.row_tasks)
    for config in experiment.load:
        parts.loop.begin_with(parameters=loaded_parameters(config=config, into=parts.loop.policy_parameters()))


def stored_environment(*, run: RunDirectory) -> EnvironmentConfig:
    """Read which environment a run was made with; its factory and wrappers are imported from where the user stands.

    :param run: the run's directory.
    :return: the environment's config.
    :raises ValueError: if the run had no environment.
    """
    document = read_document(run)
    config = restore(document["experiment"]["fields"]["environment"], resolve=resolver(run_directory=run.path))
    if not isinstance(config, EnvironmentConfig):
        raise ValueError(f"the run {run.path} was made without an environment, so there is none to play in.")
    return config


def _document(*, experiment: Experiment, description: Any, parts: Parts) -> dict[str, Any]:
    sources = own_sources(named_modules(description) | {main_module_name()})
    return {
        "format": FORMAT,
        "triax": triax.__version__,
        "name": experiment.name,
        "seed": experiment.seed,
        "experiment": description,
        "module": main_module_name(),
        "sources": {name: source_hash(path) for name, path in sources.items()},
        "source_paths": {name: str(path) for name, path in sources.items()},
        "spec": {"observation": parts.spec.observation.describe(), "action": parts.spec.action.describe()},
        "machine": environment_description(devices=parts.loop.placement.devices).to_json(),
    }


def _run(*, experiment: Experiment, parts: Parts, run: RunDirectory, checkpoint: int | None) -> TrainingResult:
    with run.lock():
        store = CheckpointStore(run.checkpoints_path, keep_last=experiment.checkpoint.keep_last)
        unit = "updates" if parts.loop.counts_updates else "steps"
        stop = StopRequest()
        # From here on there is something to lose: a signal ends the run in order, also one that comes while it is
        # restored.
        with (
            stop.listening(),
            Progress(total=experiment.total_steps, unit=unit, description=experiment.name) as progress,
        ):
            progress.say(f"run directory: {run.path}")
            for note in parts.notes:
                progress.say(note)
            try:
                outcome = _train(
                    experiment=experiment,
                    parts=parts,
                    run=run,
                    store=store,
                    progress=progress,
                    stop=stop,
                    checkpoint=checkpoint,
                )
            except (Diverged, NonFiniteAction) as error:
                raise Diverged(
                    f"learning diverged: {error}. Lower the learning rate, clip the gradient's norm, or scale the "
                    f"rewards. {_way_on(run=run, store=store)}"
                ) from error
            except WorkersFailed:
                _say_what_was_underway(parts=parts, progress=progress)
                raise
            if outcome.interrupted:
                _say_what_was_underway(parts=parts, progress=progress)
        if outcome.interrupted:
            saved = (
                f"checkpoint {store.resolve('last', full=True)} is saved"
                if outcome.is_saved
                else f"the state of now could not be saved; {_last_checkpoint(store)}"
            )
            raise TrainingInterrupted(f"{outcome.reason}; {saved}. Go on with: {triax_command('resume', run.path)}")
        plot_run(run)
        if experiment.loop.video and experiment.environment is not None:
            try:
                film(experiment=experiment, parts=parts, run=run)
            except Exception as error:
                # Whatever a renderer does on a machine without a display, the training is done and saved.
                warnings.warn(f"no video was made: {type(error).__name__}: {error}", stacklevel=2)
        if not outcome.is_saved:
            raise CheckpointFailed(
                f"the end of the run {run.path} could not be saved; {_last_checkpoint(store)}. Once it can, "
                f"`{triax_command('resume', run.path)}` trains from there to the end again."
            )
    return TrainingResult(run_directory=run.path, evaluations=read_evaluations(run), reason=outcome.reason)


def _say_what_was_underway(*, parts: Parts, progress: Progress) -> None:
    """Count what a run that ends early has in no checkpoint."""
    report = parts.loop.fleet_report()
    if report is not None and report.steps_underway > 0:
        progress.say(f"{report.steps_underway:,} environment steps that were under way are lost")


def _last_checkpoint(store: CheckpointStore) -> str:
    try:
        return f"checkpoint {store.resolve('last', full=True)} is from before"
    except NoCheckpoint:
        return "there is no checkpoint from before either"


def _way_on(*, run: RunDirectory, store: CheckpointStore) -> str:
    """Say from which checkpoint a run that has diverged can go on; all that were made are from before."""
    try:
        steps = store.resolve("last", full=True)
    except RunError:
        return "There is no checkpoint from before."
    return (
        f"Checkpoint {steps} is from before: `{triax_command('resume', run.path)}` goes on from it with the "
        "same settings; a new run with others can begin with parts of it (Experiment.load)."
    )


def _train(
    *,
    experiment: Experiment,
    parts: Parts,
    run: RunDirectory,
    store: CheckpointStore,
    progress: Progress,
    stop: StopRequest,
    checkpoint: int | None,
) -> TrainingOutcome:
    with RunLogs(run, counts_updates=parts.loop.counts_updates) as logs:
        trainer = Trainer(
            experiment=experiment,
            loop=parts.loop,
            evaluating=_evaluating(experiment=experiment, parts=parts, store=store, progress=progress, stop=stop),
            store=store,
            logs=logs,
            progress=progress,
            stop=stop,
        )
        reached = logs.reached.steps
        if checkpoint is None:
            store.discard_after(-1)
            logs.cut_back(LogLengths(), steps=-1)
            begun = "begun anew, for want of a checkpoint" if reached > 0 else ""
        else:
            counters: Any = store.counters(checkpoint)
            state = store.load(steps=checkpoint, part=TRAINING_PART, template=parts.loop.state(), exact_shapes=False)
            trainer.restore(state=state, counters=counters)
            store.discard_after(checkpoint)
            logs.cut_back(LogLengths.from_json(counters["logs"]), steps=parts.loop.steps)
            progress.begin_at(steps=parts.loop.steps)
            begun = f"resumed from checkpoint {checkpoint}"
        logs.reached.steps = parts.loop.counters.environment_steps
        if begun:
            lost = reached - logs.reached.steps
            progress.say(begun + (f"; {lost:,} environment steps are lost, and made anew" if lost > 0 else ""))
        return trainer.run()


def _evaluating(
    *, experiment: Experiment, parts: Parts, store: CheckpointStore, progress: Progress, stop: StopRequest
) -> Evaluating | None:
    if parts.evaluator is None:
        return None
    if isinstance(parts.evaluator, Evaluator):
        return InlineEvaluating(
            evaluator=parts.evaluator,
            loop=parts.loop,
            stop=stop,
            config=experiment.evaluation,
            seed=experiment.seed,
        )
    return BackgroundEvaluating(
        evaluator=parts.evaluator,
        loop=parts.loop,
        store=store,
        stop=stop,
        say=progress.say,
        config=experiment.evaluation,
        seed=experiment.seed,
    )


def film(*, experiment: Experiment, parts: Parts, run: RunDirectory) -> Path | None:
    """Film one episode of the policy of now, where the environment can render pictures.

    :param experiment: names the environment.
    :param parts: the loop and its learner.
    :param run: takes the video.
    :return: the video's path; None if the environment cannot be filmed.
    """
    assert experiment.environment is not None
    make = experiment.environment.make
    filmed = render_episode(
        make_rendering=lambda: make(render_mode="rgb_array"),
        policy=parts.learner.policy,
        parameters=parts.loop.agent_parameters(),
        observation_spec=parts.spec.observation,
        action_spec=parts.spec.action,
        seed=derive_seed(seed=experiment.seed, name=("video",)),
    )
    if filmed is None:
        return None
    path = run.videos_path / f"{parts.loop.steps}.mp4"
    write_video(frames=filmed.frames, path=path, fps=filmed.fps)
    return path
