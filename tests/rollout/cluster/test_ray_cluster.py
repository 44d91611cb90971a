"""An experiment on a Ray of two nodes, both on this machine, one of which is killed in the middle."""

import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from cluster_helpers import descendants, free_port, scratch_ray

SCRIPT = Path(__file__).with_name("cluster_experiment.py")
HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}


def start(*arguments: str, variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a node, which lives as long as the process."""
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "start", "--block", "--num-cpus", "2", "--disable-usage-stats", *arguments]
    return subprocess.Popen(
        command,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(node: "subprocess.Popen[bytes]") -> None:
    """Kill a node with all that runs on it, as a machine that loses its power; a raylet's actors would outlive it."""
    for process in [node.pid, *descendants(node.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    node.wait()


def wait_for_nodes(count: int, *, address: str, variables: Mapping[str, str], seconds: float = 120.0) -> None:
    """Wait until so many nodes are part of the cluster."""
    script = (
        "import ray, sys; ray.init(address=sys.argv[1], logging_level='ERROR', log_to_driver=False); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    deadline = time.monotonic() + seconds
    while True:
        found = subprocess.run(
            [sys.executable, "-c", script, address],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        if found.returncode == 0 and int(found.stdout.split()[-1]) == count:
            return
        assert time.monotonic() < deadline, found.stderr
        time.sleep(0.5)


@contextlib.contextmanager
def two_nodes() -> "Iterator[tuple[str, Sequence[subprocess.Popen[bytes]], Mapping[str, str]]]":
    """Run a cluster of two nodes, that lets in who has the token.

    :return: its address, the nodes (first the head), and the environment variables of who belongs to it.
    """
    with scratch_ray() as variables, contextlib.ExitStack() as nodes:
        address = f"127.0.0.1:{(port := free_port())}"
        head = start(
            "--head",
            *("--port", str(port), "--temp-dir", variables["RAY_TMPDIR"], "--include-dashboard", "false"),
            *("--system-config", json.dumps(HEALTH)),
            variables=variables,
        )
        nodes.callback(kill, head)
        wait_for_nodes(1, address=address, variables=variables)
        second = start("--address", address, variables=variables)
        nodes.callback(kill, second)
        wait_for_nodes(2, address=address, variables=variables)
        yield address, (head, second), variables


def rows_of(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_a_run_on_two_nodes_completes_when_one_of_them_is_killed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    metrics = run / "metrics.jsonl"
    with two_nodes() as (address, (_, second), variables):
        trainer = subprocess.Popen(
            [sys.executable, str(SCRIPT), "train", "--run-directory", str(run), "--rollout.ray-address", address],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 240.0
        while len(rows_of(metrics)) < 3:
            assert time.monotonic() < deadline
            assert trainer.poll() is None, trainer.communicate()
            time.sleep(0.02)
        workers = [process for process in descendants(second.pid) if is_worker(process)]
        assert len(workers) == 1  # Ray has spread the two
        kill(second)
        killed_at = rows_of(metrics)[-1]["environment_steps"]
        said, _ = trainer.communicate(timeout=600)
    assert trainer.returncode == 0, said
    assert "is gone: The actor" in said
    steps = [row["environment_steps"] for row in rows_of(metrics)]
    assert killed_at < 5000.0
    assert steps == sorted(set(steps))
    assert [step // 250 for step in steps] == list(range(1, 25))
    assert steps[-1] >= 6000
    assert [row["environment_steps"] // 3000 for row in rows_of(run / "evaluations.jsonl")] == [0, 1, 2]


@contextlib.contextmanager
def something_else(address: str) -> Iterator[None]:
    """Have a web server listen at an address."""
    host, port = address.split(":")
    with http.server.ThreadingHTTPServer((host, int(port)), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def is_worker(process: int) -> bool:
    return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::RayWorker")


@pytest.mark.parametrize("other", [False, True])
def test_an_address_without_a_cluster_ends_the_command_soon_and_with_a_message(other: bool, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"  # Ray itself would try for minutes
    with something_else(address) if other else contextlib.nullcontext():
        found = subprocess.run(
            [sys.executable, str(SCRIPT), "train", "--run-directory", str(tmp_path), "--rollout.ray-address", address],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert found.returncode == 1
    assert f"error: rollout.ray_address='{address}': no Ray cluster answers there" in found.stderr
    assert "Traceback" not in found.stderr


def start_training(*, run: Path, variables: Mapping[str, str]) -> "tuple[subprocess.Popen[str], list[int]]":
    """Start a run, and wait until workers step; gives the trainer and the processes that it has started."""
    trainer = subprocess.Popen(
        [sys.executable, str(SCRIPT), "train", "--run-directory", str(run)],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240.0
    while not rows_of(run / "metrics.jsonl"):
        assert time.monotonic() < deadline
        assert trainer.poll() is None, trainer.communicate()
        time.sleep(0.02)
    started = descendants(trainer.pid)
    assert any(is_worker(process) for process in started)
    return trainer, started


def left_after(processes: list[int], *, seconds: float) -> list[int]:
    """Wait until processes are gone, and give those that are not by then."""
    deadline = time.monotonic() + seconds
    while (left := [each for each in processes if Path(f"/proc/{each}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.mark.slow
def test_an_interrupted_run_ends_with_a_checkpoint_and_leaves_no_ray(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with scratch_ray() as variables:
        trainer, started = start_training(run=run, variables=variables)
        before = time.monotonic()
        os.killpg(trainer.pid, signal.SIGINT)  # as Ctrl-C does
        said, _ = trainer.communicate(timeout=600)
        assert trainer.returncode == 130, said
        assert time.monotonic() - before < 10.0
        assert re.search(r"is saved. Go on with: .*triax resume", said)
        assert "is gone" not in said
        assert not left_after(started, seconds=20.0)


@pytest.mark.slow
def test_actors_end_with_a_trainer_that_is_killed(tmp_path: Path) -> None:
    with scratch_ray() as variables:
        trainer, started = start_training(run=tmp_path / "run", variables=variables)
        workers = [process for process in started if is_worker(process)]
        trainer.kill()
        try:
            assert not left_after(workers, seconds=10.0)
        finally:
            # Ray's own processes end by themselves, but take some minutes.
            for process in started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            trainer.communicate()
