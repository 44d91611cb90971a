"""The command line as a user meets it: what works, and the mistakes that users make, each one clear message and a
code."""

import ast
import dataclasses
import errno
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import triax
from triax import cli, commands
from triax.datasets import DatasetConfig
from triax.environments.probes import ActionProbe, NanProbe, RaisingProbe
from triax.exits import WRONG_USAGE
from triax.options import code_only
from triax.programs import installed


class LocalProbe(ActionProbe):
    """An environment whose source is not installed, as that of a user's experiment."""


EXPERIMENTS = sorted((Path(__file__).parent.parent / "experiments").glob("*.py"))

SMALL = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(8,)))
EXPERIMENT = triax.Experiment(
    name="small",
    learner=triax.SACConfig(actor=SMALL, critic=SMALL, batch_size=16, warmup_steps=20),
    environment=triax.EnvironmentConfig(factory=LocalProbe, arguments={"actions": "continuous"}),
    total_steps=60,
    evaluation=triax.EvaluationConfig(interval=30, episodes=2, environments=2),
    checkpoint=triax.CheckpointConfig(interval=20),
    loop=triax.LoopConfig(log_interval=20, video=False),
)


class Outcome:
    """What a command said."""

    def __init__(self, *, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, experiment: triax.Experiment | None = EXPERIMENT) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["experiment.py", *arguments])
        code = 0
        try:
            triax.main(experiment)
        except SystemExit as end:
            code = 0 if end.code is None else int(end.code)
        captured = capfd.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)

    return command


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "a"
    triax.train(experiment=EXPERIMENT, run_directory=folder)
    return folder


def _words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_train_leaves_a_run_that_all_commands_take(run: Callable[..., Outcome]) -> None:
    trained = run("train", "--run-directory", "a", "--seed", "3")
    assert trained.code == 0, trained.err
    assert "final mean return" in trained.out
    assert json.loads(Path("a/experiment.json").read_text())["seed"] == 3
    rows = [json.loads(line) for line in Path("a/evaluations.jsonl").read_text().splitlines()]
    assert [row["environment_steps"] for row in rows] == [0, 30, 60]
    assert set(rows[0]) == {
        "environment_steps", "updates", "policy_version", "wall_seconds", "episodes", "returns", "lengths", "mean",
        "interval_low", "interval_high",
    }  # fmt: skip
    metrics = [json.loads(line) for line in Path("a/metrics.jsonl").read_text().splitlines()]
    assert {"environment_steps", "updates", "policy_version", "wall_seconds", "critic_loss"} <= set(metrics[-1])
    evaluated = run("evaluate", "a", "--episodes", "3", experiment=None)
    assert "mean return" in evaluated.out, evaluated.err
    assert "plot: a/plots" in run("plot", "a", experiment=None).out
    assert "plot: a.png" in run("plot", "a", "--output", "a.png", experiment=None).out
    assert Path("a.png").stat().st_size > 1000
    again = run("resume", "--run-directory", "a")  # It is done; nothing more happens.
    assert again.code == 0
    assert "60 / 60 steps (100 %)" in again.out
    assert len(Path("a/evaluations.jsonl").read_text().splitlines()) == 3
    assert run("train", "--run-directory", "b").code == 0
    assert "2 seeds" in run("plot", "a", "b", "b/", experiment=None).out
    assert Path("comparison.png").stat().st_size > 1000


def test_plot_asks_for_a_run(run: Callable[..., Outcome]) -> None:
    asked = run("plot", experiment=None)
    assert asked.code == WRONG_USAGE
    assert "name the run directory" in asked.err


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "triax", "--help"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("usage: triax ")


def test_the_newest_run_is_the_default(run: Callable[..., Outcome]) -> None:
    assert "no run of small lies under runs" in run("evaluate").err
    assert run("train").code == 0
    assert run("evaluate", "--episodes", "2").code == 0


def test_what_is_said_at_the_end_works_with_a_bare_path(
    run: Callable[..., Outcome], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, "a run")
    monkeypatch.setenv("PATH", os.defpath)
    said = run("resume", "a run", experiment=None).out
    assert ("tensorboard --logdir" in said) == (installed("tensorboard") is not None)
    (line,) = [line.strip() for line in said.splitlines() if " evaluate " in line]
    bare = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(line, shell=True, env=bare, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "over 100 episodes" in done.stdout


def _run_of(path: Path, *, name: str, seconds: float) -> None:
    """Write what is looked at to find a run."""
    path.mkdir(parents=True)
    (path / "experiment.json").write_text(json.dumps({"name": name}))
    os.utime(path / "experiment.json", (seconds, seconds))


@pytest.mark.parametrize("name", ["pend", "pend long", "pend-long"])
def test_the_newest_run_is_that_of_the_very_name(name: str, tmp_path: Path) -> None:
    for age, other in enumerate(("pend", "pend long", "pend-long")):
        for trial in (1, 2):
            folder = tmp_path / f"{other.replace(' ', '-')}-2026010{trial}-00000{age}"
            _run_of(folder, name=other, seconds=10.0 * age + trial)
    newest = commands.newest_run(name=name, root=tmp_path)
    assert json.loads((newest / "experiment.json").read_text())["name"] == name
    assert "-20260102-" in newest.name
    with pytest.raises(ValueError, match="no run of pen lies under"):
        commands.newest_run(name="pen", root=tmp_path)


def test_record_makes_a_dataset_to_clone_from(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, finished: Path
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(Path.cwd() / "datasets"))
    shutil.copytree(finished, "a")
    recorded = run("record", "a", "--dataset", "small/expert-v0", "--episodes", "5", experiment=None)
    assert "recorded 5 episodes" in recorded.out
    clone = dataclasses.replace(
        EXPERIMENT,
        learner=triax.BCConfig(actor=SMALL, batch_size=4),
        dataset=triax.DatasetConfig(id="small/expert-v0"),
    )
    assert run("train", "--run-directory", "clone", experiment=clone).code == 0
    wrong = dataclasses.replace(clone, dataset=triax.DatasetConfig(id="small/missing-v0"))
    missing = run("train", experiment=wrong)
    assert missing.code == 1
    assert "small/missing-v0" in missing.err
    assert "small/expert-v0" in missing.err


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[triax.Experiment]:
    """What would have been trained."""
    experiments: list[triax.Experiment] = []
    monkeypatch.setattr(cli, "train", lambda *, experiment, run_directory: experiments.append(experiment))
    monkeypatch.setattr(commands, "report", lambda result: None)
    return experiments


def test_what_the_file_has_none_of_is_named_by_its_id(
    run: Callable[..., Outcome], told: list[triax.Experiment]
) -> None:
    assert run("train", "--prefill", "small/a-v0", "--dataset", "small/b-v0").code == 0
    (cloning,) = told
    assert (cloning.prefill, cloning.dataset) == (DatasetConfig(id="small/a-v0"), DatasetConfig(id="small/b-v0"))
    assert run("train", "--dataset.id", "small/c-v0", "--dataset.episodes", "3", experiment=cloning).code == 0
    assert told[1].dataset == DatasetConfig(id="small/c-v0", episodes=3)
    recorded = dataclasses.replace(cloning, environment=None)
    assert run("train", "--environment", "Pendulum-v1", experiment=recorded).code == 0
    assert told[2].environment == triax.EnvironmentConfig(id="Pendulum-v1")


def test_arguments_of_the_environment_are_pairs_beside_those_of_the_file(
    run: Callable[..., Outcome], told: list[triax.Experiment]
) -> None:
    assert run("train", "--environment.arguments", "low", "-3", "size", "(1, 2.5)", "--seed", "4").code == 0
    assert run("train", "--environment.arguments", "actions", "'mixed'").code == 0
    first, second = told
    assert first.environment == triax.EnvironmentConfig(
        factory=LocalProbe, arguments={"actions": "continuous", "low": -3, "size": (1, 2.5)}
    )
    assert first.seed == 4
    assert second.environment == triax.EnvironmentConfig(factory=LocalProbe, arguments={"actions": "mixed"})


def commands_in_docstrings() -> list[tuple[str, str]]:
    """List the command lines that experiments describe."""
    return [
        (path.name, line.strip())
        for path in EXPERIMENTS
        for line in (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()
        if line.startswith(("    python ", "    triax "))
    ]


@pytest.mark.parametrize(("file", "line"), commands_in_docstrings())
def test_commands_in_docstrings_of_experiments_are_understood(
    file: str,
    line: str,
    run: Callable[..., Outcome],
    told: list[triax.Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind in cli.RUN_COMMANDS.values():
        monkeypatch.setattr(kind, "run", lambda self, run_directory: None)
    program, *words = shlex.split(line)
    experiment = None
    if program == "python":
        experiment = runpy.run_path(str(EXPERIMENTS[0].parents[1] / words.pop(0)))["experiment"]
    said = run(*words, experiment=experiment)
    assert said.code == 0, f"{line} in {file}: {said.err}"


def test_an_experiments_docstring_is_found() -> None:
    assert ("pendulum_bc.py", "triax record runs/expert --dataset pendulum/expert-v0 --episodes 20") in (
        commands_in_docstrings()
    )


def leaves(value: Any, *, path: str) -> Iterator[str]:
    """List the options that a config's fields would have."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), path=f"{path}.{field.name.replace('_', '-')}")
    else:
        yield path


@pytest.mark.parametrize("name", ["pendulum_sac", "mixed_action_sets_ppo"])
def test_every_field_is_an_option_or_named_as_code(name: str, run: Callable[..., Outcome]) -> None:
    experiment = runpy.run_path(str(EXPERIMENTS[0].with_stem(name)))["experiment"]
    shown = set(re.findall(r"--[\w.-]+", run("train", "--help", experiment=experiment).out))
    for field in (field.name for field in dataclasses.fields(experiment)):
        for leaf in leaves(getattr(experiment, field), path=f"--{field.replace('_', '-')}"):
            is_unset_part = leaf == "--learner.critic-optimizer"
            assert leaf in shown or code_only([leaf]) or is_unset_part, leaf


@pytest.mark.parametrize("command", ["train", "resume", "watch", "evaluate", "plot", "record"])
def test_every_command_has_help(command: str, run: Callable[..., Outcome]) -> None:
    said = run(command, "--help")
    assert said.code == 0
    assert "--run-directory" in said.out


def test_help_names_the_fields_that_other_programs_rely_on(run: Callable[..., Outcome]) -> None:
    said = run("train", "--help").out
    for flag in (
        "--seed", "--total-steps", "--run-directory", "--rollout.backend", "--rollout.workers",
        "--rollout.environments-per-worker", "--learner.batch-size",
    ):  # fmt: skip
        assert flag in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("train", "--learner.batch-sise", "3"), 2, "Perhaps you meant: --learner.batch-size"),
        (("train", "--learner.batch-size", "-3"), 2, "SACConfig.batch_size=-3 must be at least 1"),
        (("train", "--learner.batch-size", "many"), 2, "many"),
        (("train", "--replay.capacity", "10"), 1, "batch_size is 16 and the replay's capacity is 10"),
        (("train", "--seed", "-1"), 2, "Experiment.seed=-1 must be at least 0"),
        (("train", "--name", "a/b"), 2, "Experiment.name='a/b' must be usable"),
        (("train", "--device", "tpu"), 2, "'tpu' is no kind of device"),
        (("train", "--stop.after-seconds", "-1"), 2, "StopConfig.after_seconds=-1.0 must be"),
        (("watch", "--episodes", "0"), 2, "episodes=0 must be at least 1"),
        (("evaluate", "--seed", "-1"), 2, "seed=-1 must be at least 0"),
        (("evaluate", "--run-directory", "nowhere"), 1, "nowhere is not a run directory"),
        (("fly",), 2, "fly"),
        (("train", "--environment.wrappers", "x"), 2, "--environment.wrappers is no option: it holds what is made in"),
        (("train", "--learner.actor_optimizer.parts=x"), 2, "--learner.actor-optimizer.parts is no option"),
        (("train", "--environment.arguments", "actions"), 2, "'actions' has no value"),
        (("train", "--environment.arguments", "actions", "continuous"), 2, "continuous is no value as Python writes"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], code: int, message: str, run: Callable[..., Outcome]) -> None:
    said = run(*arguments)
    assert said.code == code
    assert message in _words(said.err + said.out)
    assert "Traceback" not in said.err


class SpokenProbe(ActionProbe):
    """Wants to be talked to."""

    def __init__(self) -> None:
        super().__init__(actions="continuous")
        self.action_space = gymnasium.spaces.Dict({"say": gymnasium.spaces.Text(5)})


@pytest.mark.parametrize(
    ("environment", "parts"),
    [
        (triax.EnvironmentConfig(id="Pendolum-v1"), ("'Pendolum-v1'", "Close matches: 'Pendulum-v1'")),
        (triax.EnvironmentConfig(factory=SpokenProbe), ("['say']", "Text", "no inside form")),
        (
            triax.EnvironmentConfig(factory=NanProbe, arguments={"actions": "continuous", "at_step": 5}),
            ("step 5", "nan", "after action"),
        ),
        (
            triax.EnvironmentConfig(factory=RaisingProbe, arguments={"actions": "continuous", "at_step": 5}),
            ("ProbeFailure", "step 5"),
        ),
    ],
)
def test_wrong_environments(
    environment: triax.EnvironmentConfig, parts: tuple[str, ...], run: Callable[..., Outcome]
) -> None:
    quiet = dataclasses.replace(EXPERIMENT.evaluation, at_start=False)
    said = run("train", experiment=dataclasses.replace(EXPERIMENT, environment=environment, evaluation=quiet))
    assert said.code == 1
    for part in parts:
        assert part in said.err
    assert "Traceback" not in said.err
    assert "triax/cli" not in said.err


def test_a_changed_source_is_refused(run: Callable[..., Outcome], finished: Path) -> None:
    shutil.copytree(finished, "a")
    document = json.loads(Path("a/experiment.json").read_text())
    assert document["sources"]
    document["sources"] = dict.fromkeys(document["sources"], "0" * 64)
    Path("a/experiment.json").write_text(json.dumps(document))
    said = run("resume", "a", experiment=None)
    assert said.code == 1
    assert "has changed since the run began" in said.err
    assert run("resume", "a", "--allow-changed-source", experiment=None).code == 0


def test_an_edited_file_is_refused_from_another_folder_too(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path.cwd() / "project" / "edited_file.py"
    file.parent.mkdir()
    file.write_text("STEPS = 8\n")
    small = dataclasses.replace(
        EXPERIMENT,
        learner=triax.PPOConfig(steps=8, minibatch_size=8, actor=SMALL, critic=SMALL),
        rollout=triax.RolloutConfig(environments_per_worker=1),
        total_steps=8,
        evaluation=triax.EvaluationConfig(episodes=1, at_start=False),
    )
    with monkeypatch.context() as started:
        # As Python starts the file in its folder.
        main = types.ModuleType("__main__")
        main.__file__ = str(file)
        started.setitem(sys.modules, "__main__", main)
        started.chdir(file.parent)
        triax.train(experiment=small, run_directory="a")
    commands = (("resume", "project/a"), None), (("resume", "--run-directory", "project/a"), EXPERIMENT)
    assert run("resume", "project/a", experiment=None).code == 0
    file.write_text("STEPS = 4\n")
    for words, experiment in commands:
        said = run(*words, experiment=experiment)
        assert said.code == 1
        assert f"{file} has changed since the run began" in said.err
    file.unlink()
    for words, experiment in commands:
        said = run(*words, experiment=experiment)
        assert said.code == 1
        assert "Resume from the folder in which the run was started, or say --allow-changed-source" in said.err
    assert run("resume", "project/a", "--allow-changed-source", experiment=None).code == 0


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("training.safetensors", "flip"),
        ("counters.json", "remove"),
        *(
            pytest.param(name, damage, marks=pytest.mark.slow)
            for name, damage in (
                ("training.safetensors", "remove"),
                ("counters.json", "flip"),
                ("manifest.json", "flip"),
                ("manifest.json", "remove"),
            )
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_offered(
    name: str, damage: str, run: Callable[..., Outcome], finished: Path
) -> None:
    shutil.copytree(finished, "a")
    path = Path("a/checkpoints/60") / name
    if damage == "remove":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    said = run("resume", "a", experiment=None)
    assert said.code == 1
    assert "checkpoint 60 is damaged" in said.err
    assert "--checkpoint 40" in said.err
    assert run("resume", "a", "--checkpoint", "40", experiment=None).code == 0
    assert len(Path("a/evaluations.jsonl").read_text().splitlines()) == 3


def test_a_full_disk_while_checkpointing_is_said_and_training_goes_on(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    original = os.fsync

    def full_at_the_second_checkpoint(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if not refused and "checkpoints" in path and Path("a/checkpoints/0").exists():
            refused.append(path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_the_second_checkpoint)
    said = run("train", "--run-directory", "a")
    assert said.code == 0, said.err
    assert "No space left on device" in said.out + said.err
    assert "Training goes on" in said.out + said.err
    assert len(refused) == 1
    assert Path("a/checkpoints/60/manifest.json").exists()


def test_an_agent_acts_on_the_environments_own_observations(run: Callable[..., Outcome], finished: Path) -> None:
    shutil.copytree(finished, "a")
    agent = triax.load_agent(run_directory="a", checkpoint="best")
    assert EXPERIMENT.environment is not None
    environment = EXPERIMENT.environment.make()
    observation, _ = environment.reset(seed=0)
    action = agent.act(observation=observation, deterministic=True)
    assert environment.action_space.contains(action)
    batch = agent.act(observation=np.stack([observation] * 3), deterministic=True)
    assert batch.shape == (3, *action.shape)
    np.testing.assert_allclose(batch[0], action, rtol=1e-6)
    sampled: list[Any] = [agent.act(observation=observation, deterministic=False) for _ in range(2)]
    assert not np.array_equal(sampled[0], sampled[1])
    with pytest.raises(ValueError, match="shape"):
        agent.act(observation=np.zeros((2, 2, 2)))
    observations = np.stack([observation] * 3)
    observations[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"the observation 1 of the batch is not finite"):
        agent.act(observation=observations)
    with pytest.raises(ValueError, match=r"the observation is not finite"):
        agent.act(observation=observations[1])


def test_what_is_no_whole_run_or_checkpoint_is_said(run: Callable[..., Outcome], finished: Path) -> None:
    shutil.copytree(finished, "a")
    # In a process of its own, where types of arguments are not checked beforehand.
    program = "import triax; triax.load_agent(run_directory='a', checkpoint='60')"
    failed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'checkpoint=\'60\' is neither "last" nor "best" nor a number of steps; ' in failed.stderr
    document = json.loads(Path("a/experiment.json").read_text())
    del document["spec"]
    for written, message in ((document, "it has no spec"), ({}, "has the format None")):
        Path("a/experiment.json").write_text(json.dumps(written))
        for command in ("evaluate", "resume", "watch"):
            said = run(command, "a", experiment=None)
            assert said.code == 1
            assert message in said.err
            assert "Traceback" not in said.err
