"""Devices: which an experiment names, and updates whose batches are split over several.

The processor stands for several devices, in processes of their own, as JAX counts its devices once a process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import triax
from triax.training.devices import DataParallel, DeviceName, Placement, placement_of

SCRIPT = Path(__file__).with_name("several_devices.py")
ROOT = SCRIPT.parents[2]
PATIENCE = 1800


@pytest.mark.parametrize(
    ("text", "kind", "indices"),
    [("cpu", "cpu", (0,)), ("gpu", "gpu", (0,)), ("gpu:1", "gpu", (1,)), ("cpu:0,1", "cpu", (0, 1))],
)
def test_devices_are_named_by_kind_and_numbers(text: str, kind: str, indices: tuple[int, ...]) -> None:
    assert DeviceName.read(text) == DeviceName(text=text, kind=kind, indices=indices)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("abacus", "Experiment.device='abacus': 'abacus' is no kind of device; use cpu or gpu"),
        ("", "'' is no kind of device"),
        ("gpu:", "after the colon stand the numbers of devices"),
        ("gpu:a", "after the colon stand the numbers of devices"),
        ("gpu:-1", "after the colon stand the numbers of devices"),
        ("gpu:0,,1", "after the colon stand the numbers of devices"),
        ("gpu:0,1,0", "names a device twice; name each once"),
    ],
)
def test_what_names_no_device_is_refused_when_the_experiment_is_written(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        triax.Experiment(
            name="refused",
            learner=triax.PPOConfig(),
            environment=triax.EnvironmentConfig(id="CartPole-v1"),
            total_steps=1,
            device=text,
        )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cpu:99", r"there is no cpu:99; JAX finds 1 of the kind. .*--xla_force_host_platform_device_count=100"),
        ("cpu:0,99", "there is no cpu:99"),
        ("gpu:0", r"JAX finds no gpu here; install triax\[cuda12\] .* nvidia-smi .* or leave the field, or choose cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(text: str, complaint: str) -> None:
    if os.environ["JAX_PLATFORMS"] != "cpu":
        pytest.skip("this machine may have these devices")
    with pytest.raises(ValueError, match=f"Experiment.device='{text}': {complaint}"):
        placement_of(text)


def test_a_device_that_was_chosen_is_where_the_thread_computes() -> None:
    assert placement_of(None).devices == ()
    (device,) = placement_of("cpu").devices
    assert device.platform == "cpu"
    assert isinstance(placement_of("cpu"), Placement)
    assert not isinstance(placement_of("cpu"), DataParallel)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("bc", (4,)),
        pytest.param("bc", (2,), marks=pytest.mark.slow),
        pytest.param("sac", (2, 4), marks=pytest.mark.slow),
        pytest.param("ppo", (2, 4), marks=pytest.mark.slow),
    ],
)
def test_a_batch_split_over_devices_gives_the_update_of_one(name: str, counts: tuple[int, ...], tmp_path: Path) -> None:
    several = [f"cpu:{','.join(map(str, range(count)))}" for count in counts]
    report = _on_four_devices("updates", name, str(tmp_path), "cpu:0", *several)

    one = report["updates"]["cpu:0"]
    # The actor has moved by 16 updates of about 1e-3.
    assert one["moved"] > 5e-3
    assert 64 in one["hidden_rows"]
    assert one["sums_over_devices"] == 0
    for device, count in zip(several, counts, strict=True):
        split = report["updates"][device]
        # Sums in another order differ by some 1e-7 of what is summed; equal bits would say that nothing was split.
        assert 0.0 < split["from_first"] < 2e-6
        # Of 64 rows of hidden features each device has its part, and none has all.
        assert 64 // count in split["hidden_rows"]
        assert 64 not in split["hidden_rows"]
        assert split["sums_over_devices"] > 0
        if name != "ppo":  # Its minibatches are made on the devices, of a chunk that each has.
            assert split["shards"] == [[place, 64 // count] for place in range(count)]
    field = "minibatch_size" if name == "ppo" else "batch_size"
    assert report["refused"] == (
        f"{field}=64: Experiment.device names 3 devices, over which 64 rows cannot be split evenly; use 63 or 66 rows, "
        "or another number of devices."
    )
    # Sequences have their rows behind the time.
    shapes = report["sequences"]
    assert shapes["rows/observation"] == [2, 6, 2, 3]
    assert shapes["rows/reward"] == shapes["mask"] == [2, 5, 2]
    assert shapes["weight"] == shapes["origin/task"] == [2, 2]


@pytest.mark.slow
def test_a_run_of_two_devices_resumes_to_the_same_bits_and_on_one_to_rounding(tmp_path: Path) -> None:
    report = _on_four_devices("resumed", "sac", str(tmp_path))

    assert report["cpu:0,1"] == 0.0
    assert report["cpu:2,3"] == 0.0
    assert 0.0 < report["cpu"] < 1e-5
    assert 0.0 < report["never on two"] < 1e-5


def _on_four_devices(*arguments: str) -> Any:
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
