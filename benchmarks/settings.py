"""What a result was made with: the experiment of a file, its description, the commit of the code."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

import triax
from triax.cli import CONFIG, with_arguments
from triax.launch.jobs import differences
from triax.options import TYPES
from triax.training.description import describe, restore
from triax.training.importing import resolver

ROOT = Path(__file__).resolve().parents[1]

# Modules and Tyro's registries are the process's own.
_READING = threading.Lock()


def experiment_of(path: Path, *, options: Sequence[str] = ()) -> triax.Experiment:
    """Read an experiment's file.

    :param path: the file, in the repository.
    :param options: of the command ``train``.
    :return: what it calls ``experiment``, with the options.
    """
    # Named as when it is started, so that what it defines is described alike.
    name = ".".join(path.resolve().relative_to(ROOT).with_suffix("").parts)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    with _READING, TYPES:
        sys.modules[name] = module
        specification.loader.exec_module(module)
        told: triax.Experiment = tyro.cli(
            triax.Experiment, default=module.experiment, args=list(options), config=CONFIG
        )
    return with_arguments(told, of=module.experiment)


def description_of(experiment: triax.Experiment) -> Any:
    """Describe an experiment as its run directory does.

    :param experiment: the experiment.
    :return: JSON values.
    """
    return json.loads(json.dumps(describe(experiment)))


def is_done(*, run: Path, experiment: triax.Experiment) -> bool:
    """Say whether a run has been trained to its end already, with the settings of now.

    :param run: the run directory; there may be none yet.
    :param experiment: what is to be trained in it.
    :return: whether nothing is left to do.
    :raises SystemExit: if it was begun with other settings.
    """
    stored = run / "experiment.json"
    if stored.exists():
        # Read and described anew: fields that have come since have the values that they had all along.
        begun = restore(json.loads(stored.read_text())["experiment"], resolve=resolver(run_directory=run))
        before = description_of(begun)
        found = next(differences(before=before, now=description_of(experiment)), None)
        if found is not None:
            raise SystemExit(f"{run} was made with other settings: {found}. Move it away, or give another --runs.")
    return (run / "done").exists()


def mark_done(run: Path) -> None:
    """Note that a run has been trained to its end, and by which code.

    :param run: the run directory.
    """
    (run / "done").write_text(commit() + "\n")


def commits_of(runs: Sequence[Path]) -> list[str]:
    """Say which code trained some runs.

    :param runs: their directories.
    :return: each commit once; that of now in the place of those that a run did not note.
    """
    return sorted({(run / "done").read_text().strip() or commit() for run in runs})


def commit() -> str:
    """Ask git for the commit of the code.

    :return: its hash, with "-dirty" where files beside the results differ from it; "unknown" outside of a repository.
    """
    head = _git("rev-parse", "HEAD")
    if head.returncode != 0:
        return "unknown"
    changed = _git("diff", "--quiet", "HEAD", "--", ".", ":(exclude)results").returncode != 0
    return head.stdout.strip() + ("-dirty" if changed else "")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
