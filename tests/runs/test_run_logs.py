"""Rows that survive crashes, are cut back exactly, and come back as the same numbers."""

import dataclasses
import errno
import json
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from triax.runs.directory import RunDirectory
from triax.runs.errors import LogError
from triax.runs.jsonlines import JsonLines, read_last_row, read_rows
from triax.runs.logs import LogLengths, RunLogs, read_episodes, read_evaluations, read_metrics
from triax.runs.rows import EpisodeRow, EvaluationRow, MetricsRow


def metrics_row(steps: int, **metrics: float) -> MetricsRow:
    return MetricsRow(
        environment_steps=steps, updates=2 * steps, policy_version=3, wall_seconds=steps / 7, metrics=metrics
    )


def evaluation_row(steps: int, *returns: float) -> EvaluationRow:
    return EvaluationRow(
        environment_steps=steps,
        updates=2 * steps,
        policy_version=3,
        wall_seconds=steps / 7,
        episodes=len(returns),
        returns=returns,
        lengths=tuple(range(len(returns))),
        mean=sum(returns) / len(returns),
        interval_low=min(returns),
        interval_high=max(returns),
    )


def test_the_physics_of_episodes_comes_back_and_rows_without_it_are_as_before() -> None:
    plain = evaluation_row(5, 1.0, 2.0)
    assert "physics" not in plain.to_json()
    assert EvaluationRow.from_json(plain.to_json()) == plain
    row = dataclasses.replace(plain, physics=({"geom foot size[0]": 0.1 + 0.2}, {"geom foot size[0]": 0.05}))
    again = EvaluationRow.from_json(json.loads(json.dumps(row.to_json())))
    assert again == row


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows: list[dict[str, Any]] = [{"a": 0.1 + 0.2, "b": 5e-324, "c": 2**70, "d": "ö\n"}, {}, {"e": [None, True, {}]}]
    with JsonLines(path) as log:
        for row in rows:
            log.append(row)
            assert read_rows(path) == tuple(rows[: rows.index(row) + 1])  # at once, without a flush
            assert log.length == path.stat().st_size
        log.flush_to_disk()
    assert path.read_bytes().count(b"\n") == 3
    assert read_rows(tmp_path / "none.jsonl") == ()


def test_strict_json_alone(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "rows.jsonl") as log:
        with pytest.raises(ValueError, match="Out of range float"):
            log.append({"a": math.nan})
        assert log.length == 0
    assert read_rows(tmp_path / "rows.jsonl") == ()


@pytest.mark.parametrize("size", [0, 1, 100, 200_000])
def test_a_torn_last_line_is_ignored_and_then_removed(tmp_path: Path, size: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n' + b'{"a": "'[:size] + b"x" * max(size - 7, 0))
    assert read_rows(path) == ({"a": 1}, {"a": 2})
    with JsonLines(path) as log:
        assert log.length == 18
        log.append({"a": 3})
    assert read_rows(path) == ({"a": 1}, {"a": 2}, {"a": 3})


def test_a_file_of_one_torn_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a"')
    with JsonLines(path) as log:
        assert log.length == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", [b'{"a"', b"", b"[1]", b"\xff"])
def test_any_other_broken_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    with pytest.raises(LogError, match=r"rows\.jsonl, line 2: "):
        read_rows(path)


def test_the_last_row_is_read_without_the_others(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_last_row(path) is None
    path.write_bytes(b"")
    assert read_last_row(path) is None
    path.write_bytes(b"no row at all\n" * 20_000 + b'{"a": 1}\n{"a": 2}\n{"a"')
    assert read_last_row(path) == {"a": 2}
    path.write_bytes(b'{"a": "' + b"x" * 200_000 + b'"}\n')
    assert read_last_row(path) == {"a": "x" * 200_000}
    path.write_bytes(b'{"a": 1}\n[2]\n')
    with pytest.raises(LogError, match="last line: list instead of an object"):
        read_last_row(path)


def test_cutting_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with JsonLines(path) as log:
        log.append({"a": 1})
        length = log.length
        log.append({"a": 2})
        log.cut_back(length)
        assert log.length == length
        log.append({"a": 3})
        assert read_rows(path) == ({"a": 1}, {"a": 3})
        for wrong, message in ((1000, "fewer than the 1,000 of"), (length - 1, "no row ends at byte"), (-1, "no row")):
            with pytest.raises(LogError, match=message):
                log.cut_back(wrong)
        assert read_rows(path) == ({"a": 1}, {"a": 3})
        log.cut_back(0)
    assert path.read_bytes() == b""


def test_a_row_that_does_not_fit_on_the_disk_leaves_nothing_of_itself(tmp_path: Path) -> None:
    class FullAfterTen:
        """A raw file on a disk that takes ten more bytes."""

        def __init__(self, file: Any) -> None:
            self.file = file
            self.room = 10

        def write(self, data: bytes) -> int:
            if self.room == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written: int = self.file.write(data[: self.room])
            self.room -= written
            return written

        def truncate(self, length: int) -> None:
            self.file.truncate(length)

    path = tmp_path / "rows.jsonl"
    with JsonLines(path) as log:
        log.append({"a": 1})
        real, log._file = log._file, FullAfterTen(log._file)  # type: ignore[assignment]
        with pytest.raises(LogError, match=r"rows\.jsonl could not be written: No space left"):
            log.append({"a": "a long row"})
        log._file = real
        assert path.read_bytes() == b'{"a": 1}\n'
        log.append({"a": 2})
    assert read_rows(path) == ({"a": 1}, {"a": 2})


def test_metrics_come_back(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    rows = [metrics_row(1, loss=0.1, entropy=-1e-30), metrics_row(2)]
    with RunLogs(run) as logs:
        for row in rows:
            logs.append_metrics(row)
    assert read_metrics(run) == tuple(rows)
    text = run.metrics_path.read_text()
    assert text.startswith('{"environment_steps": 1, "updates": 2, "policy_version": 3, "wall_seconds": 0.14')


def test_numbers_that_are_not_finite_become_null_and_nan(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with RunLogs(run) as logs:
        logs.append_metrics(metrics_row(1, a=math.nan, b=-math.inf, c=0.5))
        logs.append_evaluation(evaluation_row(1, 1.0, math.nan))
    assert '"a": null, "b": null, "c": 0.5' in run.metrics_path.read_text()
    found = read_metrics(run)[0].metrics
    assert math.isnan(found["a"])
    assert math.isnan(found["b"])
    assert math.isnan(read_evaluations(run)[0].returns[1])


def test_a_metric_cannot_take_the_name_of_a_counter() -> None:
    with pytest.raises(ValueError, match="cannot be called 'updates'"):
        metrics_row(1, updates=1.0)


def test_a_row_of_another_kind_is_named(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    run.metrics_path.write_text('{"environment_steps": 1}\n')
    with pytest.raises(LogError, match=r"metrics\.jsonl, line 1: 'updates' is missing"):
        read_metrics(run)
    run.metrics_path.write_text('{"environment_steps": "1"}\n')
    with pytest.raises(LogError, match=r"line 1: environment_steps: '1' is not an integer"):
        read_metrics(run)


def events(directory: Path) -> Iterator[Event]:
    """Read the events of all files in the order of TensorBoard: that of their names."""
    for path in sorted(directory.iterdir()):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack_from("<Q", content)
            yield Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]


def visible_scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Collect scalars as TensorBoard does: the start of a session hides what stands at its step and later."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(directory):
        if event.HasField("session_log"):
            found = {tag: [point for point in points if point[0] < event.step] for tag, points in found.items()}
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_a_resumed_run_holds_no_row_twice(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with RunLogs(run) as logs:
        logs.append_metrics(metrics_row(10, loss=1.0))
        logs.append_evaluation(evaluation_row(10, 5.0))
        logs.append_episode(EpisodeRow(environment_steps=10, environment=0, undiscounted_return=1.5, length=4))
        lengths = LogLengths.from_json(logs.lengths().to_json())
        logs.append_metrics(metrics_row(20, loss=2.0))
        logs.append_evaluation(evaluation_row(20, 6.0))
        logs.append_episode(EpisodeRow(environment_steps=20, environment=1, undiscounted_return=2.5, length=5))
    with RunLogs(run) as logs:
        logs.cut_back(lengths, steps=10)
        logs.append_metrics(metrics_row(15, loss=3.0))
        logs.append_metrics(metrics_row(20, loss=4.0))
    assert [(row.environment_steps, row.metrics["loss"]) for row in read_metrics(run)] == [(10, 1), (15, 3), (20, 4)]
    assert [row.environment_steps for row in read_evaluations(run)] == [10]
    assert [row.environment_steps for row in read_episodes(run)] == [10]
    scalars = visible_scalars(run.tensorboard_path)
    assert scalars["metrics/loss"] == [(10, 1.0), (15, 3.0), (20, 4.0)]
    assert scalars["evaluation/mean"] == [(10, 5.0)]


def test_without_environment_steps_updates_are_what_tensorboard_shows(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with RunLogs(run, counts_updates=True) as logs:
        logs.append_metrics(dataclasses.replace(metrics_row(0, loss=1.0), updates=5))
        logs.append_evaluation(dataclasses.replace(evaluation_row(0, 6.0), updates=5))
        lengths = logs.lengths()
        logs.append_metrics(dataclasses.replace(metrics_row(0, loss=2.0), updates=10))
    with RunLogs(run, counts_updates=True) as logs:
        logs.cut_back(lengths, steps=5)
        logs.append_metrics(dataclasses.replace(metrics_row(0, loss=3.0), updates=10))
    scalars = visible_scalars(run.tensorboard_path)
    assert scalars["metrics/loss"] == [(5, 1.0), (10, 3.0)]
    assert scalars["evaluation/mean"] == [(5, 6.0)]


def test_episodes_are_read_as_they_were_written(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    rows = [
        EpisodeRow(environment_steps=7, environment=2, undiscounted_return=-0.1, length=5),
        EpisodeRow(environment_steps=9, environment=0, undiscounted_return=3.0, length=2, physics={"gravity": -9.5}),
    ]
    with RunLogs(run) as logs:
        for row in rows:
            logs.append_episode(row)
    assert list(read_episodes(run)) == rows
    assert json.loads(run.episodes_path.read_text().splitlines()[1])["physics"] == {"gravity": -9.5}


def test_a_checkpoint_from_before_there_were_rows_of_episodes_has_none_of_them() -> None:
    assert LogLengths.from_json({"metrics": 1, "evaluations": 2}) == LogLengths(metrics=1, evaluations=2, episodes=0)


def test_logs_are_cut_back_all_or_none(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with RunLogs(run) as logs:
        logs.append_metrics(metrics_row(10, loss=1.0))
        with pytest.raises(LogError, match=r"evaluations\.jsonl has 0 bytes, fewer than"):
            logs.cut_back(LogLengths(metrics=0, evaluations=9), steps=0)
    assert len(read_metrics(run)) == 1
    with pytest.raises(TypeError, match="not the lengths of logs"):
        LogLengths.from_json({"metrics": 1})


def test_tensorboard_makes_nothing_before_the_first_scalar(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    with RunLogs(run):
        pass
    assert not run.tensorboard_path.exists()


def test_tensorboard_on_a_full_disk_is_said(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {})
    run.tensorboard_path.touch()  # where a folder cannot be made
    with RunLogs(run) as logs, pytest.raises(LogError, match="tensorboard could not be written: File exists"):
        logs.append_metrics(metrics_row(1, loss=1.0))
    assert len(read_metrics(run)) == 1
