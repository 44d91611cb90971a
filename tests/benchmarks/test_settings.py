"""Results say what they were made with, and nothing is skipped that was made with something else."""

import dataclasses
import subprocess
from pathlib import Path

import learning
import pytest
import settings
from seeds import read_rows

import triax
from triax.runs import RunDirectory

ROOT = Path(settings.ROOT)
PENDULUM = ROOT / "experiments" / "pendulum_sac.py"


def begun(run: Path, experiment: triax.Experiment) -> None:
    RunDirectory.create(
        run, {"experiment": settings.description_of(experiment), "machine": {}, "seed": experiment.seed}
    )


def test_options_are_those_of_the_command_line() -> None:
    experiment = settings.experiment_of(PENDULUM, options=["--seed", "3", "--learner.discount", "0.5"])
    expected = settings.experiment_of(PENDULUM)
    assert isinstance(expected.learner, triax.SACConfig)
    learner = dataclasses.replace(expected.learner, discount=0.5)
    assert experiment == dataclasses.replace(expected, seed=3, learner=learner)


def test_arguments_of_the_environment_that_no_option_names_are_kept() -> None:
    options = ["--environment.arguments", "objects", "(1, 12)"]
    experiment = settings.experiment_of(PENDULUM.with_stem("mixed_action_sets_ppo"), options=options)
    assert experiment.environment is not None
    assert experiment.environment.arguments == {"objects": (1, 12), "maximum": 12}


def test_what_is_done_is_skipped_only_with_the_same_settings(tmp_path: Path) -> None:
    experiment = settings.experiment_of(PENDULUM)
    run = tmp_path / "run"
    assert not settings.is_done(run=run, experiment=experiment)
    begun(run, experiment)
    assert not settings.is_done(run=run, experiment=experiment)
    settings.mark_done(run)
    assert settings.is_done(run=run, experiment=experiment)
    with pytest.raises(SystemExit, match=r"other settings: experiment.seed was 0 and is 1\. Move it away"):
        settings.is_done(run=run, experiment=dataclasses.replace(experiment, seed=1))


def test_a_seed_that_was_trained_with_other_options_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(subprocess, "run", never)
    options = ["--seed", "0", "--loop.no-video", "--rollout.backend", "inline", "--total-steps", "10"]
    run = tmp_path / "pendulum_sac-0"
    begun(run, settings.experiment_of(PENDULUM, options=options))
    (run / "done").touch()
    assert learning.train_seed(name="pendulum_sac", seed=0, runs=tmp_path, pin=[], options=options[-2:]) == run
    with pytest.raises(SystemExit, match=r"pendulum_sac-0 was made with .*experiment.total_steps was 10 and is "):
        learning.train_seed(name="pendulum_sac", seed=0, runs=tmp_path, pin=[], options=[])


def test_runs_say_which_code_trained_them(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for run in (old, new):
        run.mkdir()
    settings.mark_done(new)
    (old / "done").write_text("0123\n")
    now = settings.commit()
    assert settings.commits_of([new, old]) == sorted(["0123", now])
    # Earlier versions of the scripts did not note it.
    (old / "done").write_text("")
    assert settings.commits_of([new, old]) == [now]


def test_the_row_of_settings_describes_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = settings.experiment_of(PENDULUM)
    begun(tmp_path / "run", experiment)
    settings.mark_done(tmp_path / "run")
    monkeypatch.setattr(learning, "compare_runs", lambda *_, **__: [])
    monkeypatch.setattr(learning, "read_evaluations", lambda _: [])
    learning.summarise(name="small", directories=[tmp_path / "run"], command="small", output=tmp_path)
    (row,) = read_rows(tmp_path / "small.jsonl")
    assert row["command"] == "small"
    assert row["description"] == settings.description_of(experiment)
    assert row["commits"] == [settings.commit()]
