"""What a run leaves on the disk: its directory, checkpoints, logs, plots and videos; and its progress on the terminal.

This package knows of arrays and files alone, and nothing of learners, environments and training.
"""

from triax.runs.checkpoints import CheckpointStore
from triax.runs.comparison import GroupSummary, compare_runs, experiment_name
from triax.runs.directory import RunDirectory, can_name_folder, default_run_directory
from triax.runs.errors import (
    CheckpointDamaged,
    CheckpointError,
    CheckpointFailed,
    CheckpointMismatch,
    LogError,
    NoCheckpoint,
    RunDirectoryError,
    RunError,
    TensorBoardFailed,
    VideoError,
)
from triax.runs.files import JSON
from triax.runs.logs import LogLengths, RunLogs, read_episodes, read_evaluations, read_metrics
from triax.runs.manifest import Manifest
from triax.runs.plots import plot_run
from triax.runs.progress import Progress
from triax.runs.provenance import EnvironmentDescription, environment_description
from triax.runs.rows import EpisodeRow, EvaluationRow, MetricsRow
from triax.runs.video import write_video

__all__ = [
    "JSON",
    "CheckpointDamaged",
    "CheckpointError",
    "CheckpointFailed",
    "CheckpointMismatch",
    "CheckpointStore",
    "EnvironmentDescription",
    "EpisodeRow",
    "EvaluationRow",
    "GroupSummary",
    "LogError",
    "LogLengths",
    "Manifest",
    "MetricsRow",
    "NoCheckpoint",
    "Progress",
    "RunDirectory",
    "RunDirectoryError",
    "RunError",
    "RunLogs",
    "TensorBoardFailed",
    "VideoError",
    "can_name_folder",
    "compare_runs",
    "default_run_directory",
    "environment_description",
    "experiment_name",
    "plot_run",
    "read_episodes",
    "read_evaluations",
    "read_metrics",
    "write_video",
]
