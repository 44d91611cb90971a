"""Metrics and evaluations in Weights & Biases, whose package is imported when training begins."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from triax.runs import EvaluationRow, MetricsRow
from triax.training.callbacks import Callback, TrainingView


class WandbNotInstalled(ImportError):
    """An experiment has a callback for Weights & Biases, whose package is not there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WandbCallback(Callback):
    """Logs to Weights & Biases what metrics.jsonl and evaluations.jsonl hold, over environment steps.

    Where no environment is stepped, it is over updates.
    """

    project: str
    """Where the run is listed."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further keyword arguments of wandb.init, such as name and group. A run that is resumed is a new one there, unless
    they name an ``id``, with ``resume="allow"``."""

    def on_start(self, view: TrainingView) -> None:
        """Begin a run there."""
        _wandb().init(project=self.project, **self.settings)
        # Not its own steps, which must not go back: an evaluation beside training is done some steps after its policy.
        _wandb().define_metric("*", step_metric="updates" if view.counts_updates else "environment_steps")

    def on_metrics(self, view: TrainingView, row: MetricsRow) -> None:
        """Log the row."""
        metrics = {f"metrics/{name}": value for name, value in row.metrics.items()}
        _wandb().log({"environment_steps": row.environment_steps, "updates": row.updates, **metrics})

    def on_evaluation(self, view: TrainingView, row: EvaluationRow) -> None:
        """Log the mean and its interval."""
        means = {f"evaluation/{name}": getattr(row, name) for name in ("mean", "interval_low", "interval_high")}
        _wandb().log({"environment_steps": row.environment_steps, "updates": row.updates, **means})

    def on_end(self, view: TrainingView) -> None:
        """End the run there."""
        _wandb().finish()


def _wandb() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise WandbNotInstalled(
            f"WandbCallback needs the package wandb, which is not installed ({error}): `pip install "
            "'triax[wandb]'`, or take the callback out of Experiment.callbacks."
        ) from error
