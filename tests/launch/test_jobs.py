"""Jobs: what is refused before anything starts, and the way from a file to its jobs."""

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from launch_helpers import small_jobs, write_sweep

from triax.launch import Job, LaunchError, Sweep
from triax.launch.jobs import checked, differences


def test_a_job_is_of_its_experiments_group_unless_told_another(tmp_path: Path) -> None:
    (job,) = small_jobs(tmp_path, jobs=1)
    assert job.group == "even"
    assert Job(name="a", experiment=job.experiment).group == "small"


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_names_that_are_no_folder_are_refused(name: str, tmp_path: Path) -> None:
    (job,) = small_jobs(tmp_path, jobs=1)
    with pytest.raises(ValueError, match="usable as the name of a folder"):
        dataclasses.replace(job, name=name)


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    first, second = small_jobs(tmp_path, jobs=2)
    with pytest.raises(LaunchError, match="two jobs have the name 'job-0'"):
        checked([first, dataclasses.replace(second, name="job-0")])


def test_an_experiment_given_twice_under_two_names_is_refused(tmp_path: Path) -> None:
    (job,) = small_jobs(tmp_path, jobs=1)
    with pytest.raises(LaunchError, match="'job-0' and 'again' are the same experiment with the same seed"):
        checked([job, dataclasses.replace(job, name="again", group="other")])
    other_seed = dataclasses.replace(job.experiment, seed=7)
    assert len(checked([job, dataclasses.replace(job, name="again", experiment=other_seed)])) == 2


def test_a_function_that_yields_nothing_or_something_else_is_refused() -> None:
    with pytest.raises(LaunchError, match="yields nothing"):
        checked(iter(()))
    nothing_like_it: Any = iter(["job"])
    with pytest.raises(LaunchError, match=r"number 1 .* is 'job', which is no triax\.launch.Job"):
        checked(nothing_like_it)


def test_a_function_that_yields_something_else_each_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter((1, 2))
    made = types.ModuleType("sweeps_random")
    monkeypatch.setitem(sys.modules, "sweeps_random", made)
    monkeypatch.setattr(made, "jobs", lambda: small_jobs(tmp_path, jobs=next(calls)), raising=False)
    with pytest.raises(LaunchError, match="yields other jobs when it is called again"):
        Sweep(script=tmp_path / "sweeps_random.py", function="sweeps_random:jobs").load()


def test_a_function_that_other_processes_cannot_find_is_refused() -> None:
    with pytest.raises(LaunchError, match="define it at the top level of a module"):
        Sweep.of(lambda: iter(()))


def test_a_file_is_imported_by_its_path_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sweeps.small", raising=False)
    sweep = Sweep(script=write_sweep(place=tmp_path, jobs=3), function="sweeps.small:jobs")
    jobs = sweep.load()
    assert [job.name for job in jobs] == ["job-0", "job-1", "job-2"]
    assert [job.digest() for job in jobs] == [job.digest() for job in small_jobs(tmp_path, jobs=3)]
    assert Sweep.of(sys.modules["sweeps.small"].jobs) == sweep
    monkeypatch.delitem(sys.modules, "sweeps.small")


def test_differences_name_the_field(tmp_path: Path) -> None:
    first, second = small_jobs(tmp_path, jobs=2)
    assert list(differences(before=first.description(), now=first.description())) == []
    changed = dataclasses.replace(first.experiment, seed=4, checkpoint=dataclasses.replace(first.experiment.checkpoint))
    now = dataclasses.replace(first, experiment=changed).description()
    assert list(differences(before=first.description(), now=now)) == ["experiment.seed was 0 and is 4"]
    places = [found.split(" ")[0] for found in differences(before=first.description(), now=second.description())]
    assert "experiment.environment.arguments.slow" in places
    lacking = first.description()
    del lacking["fields"]["seed"]
    assert list(differences(before=lacking, now=first.description())) == ['experiment.seed was "not there" and is 0']
