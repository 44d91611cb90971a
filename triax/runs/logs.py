"""The logs of a run: rows of metrics, of evaluations and of episodes, as JSON lines, and the first two for TensorBoard.

The JSON lines are the truth; TensorBoard's events say the same for TensorBoard. A checkpoint records how long the files
were (:meth:`RunLogs.lengths`), and resuming cuts them back to that (:meth:`RunLogs.cut_back`), so that no row stands
twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from triax.runs.directory import RunDirectory
from triax.runs.errors import LogError, TensorBoardFailed
from triax.runs.files import JSON
from triax.runs.jsonlines import JsonLines, read_rows
from triax.runs.reached import ReachedSteps
from triax.runs.rows import EpisodeRow, EvaluationRow, MetricsRow
from triax.runs.tensorboard import TensorBoardWriter

Row = TypeVar("Row", MetricsRow, EvaluationRow, EpisodeRow)


@dataclass(frozen=True, kw_only=True)
class LogLengths:
    """How long the logs are, in bytes.

    :param metrics: the length of ``metrics.jsonl``.
    :param evaluations: the length of ``evaluations.jsonl``.
    :param episodes: the length of ``episodes.jsonl``.
    """

    metrics: int = 0
    evaluations: int = 0
    episodes: int = 0

    def to_json(self) -> dict[str, JSON]:
        """Turn into a document for a checkpoint's counters.

        :return: the document.
        """
        return {"metrics": self.metrics, "evaluations": self.evaluations, "episodes": self.episodes}

    @staticmethod
    def from_json(document: JSON) -> "LogLengths":
        """Read what :meth:`to_json` made.

        :param document: the document.
        :return: the lengths.
        :raises TypeError: if it is something else.
        """
        if isinstance(document, dict):
            metrics, evaluations = document.get("metrics"), document.get("evaluations")
            episodes = document.get("episodes", 0)  # runs that began with an earlier version have no such file
            if isinstance(metrics, int) and isinstance(evaluations, int) and isinstance(episodes, int):
                return LogLengths(metrics=metrics, evaluations=evaluations, episodes=episodes)
        raise TypeError(f"not the lengths of logs: {document!r}")


class RunLogs:
    """The writer of a run's logs; for the process that trains alone.

    :param directory: the run's directory.
    :param counts_updates: TensorBoard shows updates, since no environment is stepped, and not environment steps.
    :ivar reached: how far the run had come, which is known after a crash, too.
    :raises OSError: if the files cannot be opened.
    """

    def __init__(self, directory: RunDirectory, *, counts_updates: bool = False) -> None:
        self._counts_updates = counts_updates
        self._metrics = JsonLines(directory.metrics_path)
        self._evaluations = JsonLines(directory.evaluations_path)
        self._episodes = JsonLines(directory.episodes_path)
        self._tensorboard = TensorBoardWriter(directory.tensorboard_path)
        self.reached = ReachedSteps(directory.reached_path)

    def append_metrics(self, row: MetricsRow) -> None:
        """Log the learner's metrics.

        :param row: the row.
        :raises LogError: if the disk is full or cannot be written.
        :raises TensorBoardFailed: if the row is written, and could not be shown to TensorBoard.
        """
        self._metrics.append(row.to_json())
        scalars = {f"metrics/{name}": value for name, value in row.metrics.items()}
        self._mirror(row=row, scalars=scalars)

    def append_evaluation(self, row: EvaluationRow) -> None:
        """Log an evaluation.

        :param row: the row.
        :raises LogError: if the disk is full or cannot be written.
        :raises TensorBoardFailed: if the row is written, and could not be shown to TensorBoard.
        """
        self._evaluations.append(row.to_json())
        scalars = {
            "evaluation/mean": row.mean,
            "evaluation/interval_low": row.interval_low,
            "evaluation/interval_high": row.interval_high,
        }
        if row.lengths:
            scalars["evaluation/length"] = sum(row.lengths) / len(row.lengths)
        self._mirror(row=row, scalars=scalars)

    def append_episode(self, row: EpisodeRow) -> None:
        """Log an episode of training.

        :param row: the row.
        :raises LogError: if the disk is full or cannot be written.
        """
        self._episodes.append(row.to_json())

    def lengths(self) -> LogLengths:
        """Tell how long the logs are, once the disk has all their rows; for a checkpoint.

        :return: the lengths.
        :raises OSError: if the disk cannot take the rows.
        """
        self._metrics.flush_to_disk()
        self._evaluations.flush_to_disk()
        self._episodes.flush_to_disk()
        return LogLengths(
            metrics=self._metrics.length, evaluations=self._evaluations.length, episodes=self._episodes.length
        )

    def cut_back(self, lengths: LogLengths, *, steps: int) -> None:
        """Remove the rows that were written after a checkpoint from which the run goes on.

        :param lengths: the lengths that the checkpoint recorded.
        :param steps: the environment steps of the checkpoint; updates, where no environment is stepped. TensorBoard,
            whose events cannot be cut, is told to hide what comes after it.
        :raises LogError: if a log is shorter than that, or is another file; none is then changed.
        """
        cuts = (
            (self._metrics, lengths.metrics),
            (self._evaluations, lengths.evaluations),
            (self._episodes, lengths.episodes),
        )
        for log, length in cuts:
            log.require_row_end(length)
        for log, length in cuts:
            log.cut_back(length)
        self._tensorboard.undo_from(steps + 1)

    def close(self) -> None:
        """Close all files."""
        self._metrics.close()
        self._evaluations.close()
        self._episodes.close()
        self._tensorboard.close()
        self.reached.close()

    def _mirror(self, *, row: MetricsRow | EvaluationRow, scalars: Mapping[str, float]) -> None:
        step = row.updates if self._counts_updates else row.environment_steps
        try:
            self._tensorboard.write(step=step, scalars=scalars)
        except OSError as error:
            folder = self._tensorboard.directory
            raise TensorBoardFailed(f"{folder} could not be written: {error.strerror}") from error

    def __enter__(self) -> "RunLogs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_metrics(directory: RunDirectory) -> tuple[MetricsRow, ...]:
    """Read the rows of metrics of a run, also of one that trains.

    :param directory: the run's directory.
    :return: the rows in the order of the file.
    :raises LogError: if a line is broken, other than the last.
    """
    return _read(path=directory.metrics_path, parse=MetricsRow.from_json)


def read_evaluations(directory: RunDirectory) -> tuple[EvaluationRow, ...]:
    """Read the evaluations of a run, also of one that trains.

    :param directory: the run's directory.
    :return: the rows in the order of the file.
    :raises LogError: if a line is broken, other than the last.
    """
    return _read(path=directory.evaluations_path, parse=EvaluationRow.from_json)


def read_episodes(directory: RunDirectory) -> tuple[EpisodeRow, ...]:
    """Read the episodes of training of a run, also of one that trains.

    :param directory: the run's directory.
    :return: the rows in the order of the file.
    :raises LogError: if a line is broken, other than the last.
    """
    return _read(path=directory.episodes_path, parse=EpisodeRow.from_json)


def _read(*, path: Path, parse: Callable[[Mapping[str, JSON]], Row]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for number, row in enumerate(read_rows(path), start=1):
        try:
            rows.append(parse(row))
        except KeyError as error:
            raise LogError(f"{path}, line {number}: {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise LogError(f"{path}, line {number}: {error}") from error
    return tuple(rows)
