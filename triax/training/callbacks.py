"""A user's own code in the training loop."""

import dataclasses
from collections.abc import Callable
from typing import Any

from triax.runs import EvaluationRow, MetricsRow


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingView:
    """What a callback sees.

    :ivar environment_steps: steps so far.
    :ivar updates: updates so far.
    :ivar counts_updates: updates say how far the run is, since no environment is stepped.
    :ivar policy_parameters: makes the current policy's parameters.
    :ivar stop: ends the run in order, with a checkpoint, for the reason given.
    """

    environment_steps: int
    updates: int
    counts_updates: bool
    policy_parameters: Callable[[], Any]
    stop: Callable[[str], None]


class Callback:
    """Override what you need. A callback that changes what training does belongs to the run's configuration.

    An instance of a frozen dataclass can be stored with the run, and is made anew from its fields when the run is
    resumed.
    """

    def on_start(self, view: TrainingView) -> None:
        """Run before the first iteration, also of a resumed run."""

    def on_metrics(self, view: TrainingView, row: MetricsRow) -> None:
        """Run after a row of metrics.jsonl was written."""

    def on_evaluation(self, view: TrainingView, row: EvaluationRow) -> None:
        """Run after a row of evaluations.jsonl was written; the view is of the policy that was evaluated."""

    def on_end(self, view: TrainingView) -> None:
        """Run after the last iteration, also of an interrupted run."""
