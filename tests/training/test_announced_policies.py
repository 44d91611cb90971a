"""To a fleet that works meanwhile, a policy is sent while the call after the one that makes it is computed."""

import copy
import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

import triax
from triax.rollout import Fleet, FleetReport, WorkersFailed
from triax.training.building import build
from triax.training.loops import ReplayLoop
from triax.trees import Tree, to_numpy
from triax.types import ActionMode, Chunk, EpisodeSummary

SMALL = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(4,)))


class SlowFleet:
    """Steps environments in line, and says that it does so meanwhile; at times there is nothing yet without waiting."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.environments = fleet.environments
        self.is_concurrent = True
        self.ready = True
        self.log: list[tuple[str, int]] = []
        self.sent: dict[int, Tree] = {}

    def publish(self, *, parameters: Tree, version: int, mode: ActionMode) -> None:
        self.log.append(("sent", version))
        self.sent[version] = copy.deepcopy(to_numpy(parameters))
        self._fleet.publish(parameters=parameters, version=version, mode=mode)

    def collect(self, *, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        rows = max(minimum, maximum or 0) if self.ready or minimum else 0
        chunks = self._fleet.collect(minimum=rows)
        self.log += [("made by", chunk.policy_version) for chunk in chunks]
        return chunks

    def report(self) -> FleetReport:
        return self._fleet.report()

    def state(self) -> Tree:
        return self._fleet.state()

    def restore(self, state: Tree) -> None:
        self._fleet.restore(state)

    def close(self) -> None:
        self._fleet.close()


def slow_loop(*, environments: int = 1) -> tuple[ReplayLoop, SlowFleet]:
    """Make a loop behind its warm-up, and forget what was sent before."""
    experiment = triax.Experiment(
        name="announced",
        learner=triax.SACConfig(actor=SMALL, critic=SMALL, batch_size=4, warmup_steps=max(8, environments)),
        environment=triax.EnvironmentConfig(id="Pendulum-v1"),
        rollout=triax.RolloutConfig(environments_per_worker=environments),
        total_steps=1000,
        loop=triax.LoopConfig(updates_per_call=4, video=False),
    )
    loop = build(experiment=experiment).loop
    assert isinstance(loop, ReplayLoop)
    fleet = SlowFleet(loop.fleet)
    loop.fleet = fleet
    loop.advance(limit=max(8, environments))
    assert loop.counters.updates == 0
    assert fleet.log[-1] == ("sent", loop.counters.policy_version) == ("sent", 2)
    fleet.log.clear()
    return loop, fleet


def assert_equal(one: Tree, other: Tree) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, to_numpy(other))


def test_a_policy_is_sent_once_the_next_call_has_begun() -> None:
    loop, fleet = slow_loop()
    states: dict[int, Any] = {}
    while loop.counters.updates < 12:
        loop.advance(limit=1000)
        states[loop.counters.policy_version] = to_numpy(loop.learner.rollout_parameters(state=loop.learner_state))
    made = [entry for entry in fleet.log if entry[0] == "made by"]
    assert [version for _, version in made] == [2, 2, 3]
    assert [entry for entry in fleet.log if entry[0] == "sent"] == [("sent", 3), ("sent", 4)]
    # Each version is what the learner had when the version was counted.
    assert loop.counters.policy_version == 5
    for version in (3, 4):
        assert_equal(fleet.sent[version], states[version])


def test_of_several_calls_each_few_updates_make_a_policy() -> None:
    loop, fleet = slow_loop(environments=16)
    updates, made = loop.counters.updates, []
    make = loop._updates

    def keep(*arguments: Any) -> Any:
        state, output = make(*arguments)
        made.append(to_numpy(loop.learner.rollout_parameters(state=state)))
        return state, output

    loop._updates = keep
    loop.advance(limit=1000)
    assert loop.counters.updates == updates + 16
    # 4 calls of 4 updates were due for 16 rows; the policy of the fourth waits until it is computed.
    assert len(made) == 4
    assert_equal(fleet.sent[3], made[1])
    assert [entry for entry in fleet.log if entry[0] == "sent"] == [("sent", 3)]
    loop.advance(limit=1000)
    assert [entry for entry in fleet.log if entry[0] == "sent"] == [("sent", 3), ("sent", 4), ("sent", 5)]
    assert_equal(fleet.sent[4], made[3])
    assert_equal(fleet.sent[5], made[5])
    assert [entry for entry in fleet.log if entry[0] == "made by"] == [("made by", 2), ("made by", 3)]


def test_nothing_is_held_back_while_experience_is_waited_for() -> None:
    loop, fleet = slow_loop()
    fleet.ready = False
    for version in (3, 4, 5):
        before = loop.counters.updates
        while loop.counters.updates == before:
            loop.advance(limit=1000)
        assert loop.counters.policy_version == version
    # The newest one acts, always, though a call had to be waited for.
    assert fleet.log == [("made by", 2), ("sent", 3), ("made by", 3), ("sent", 4), ("made by", 4)]


def test_what_came_before_workers_failed_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, fleet = slow_loop()
    loop.advance(limit=1000)
    episode = EpisodeSummary(undiscounted_return=7.0, length=200, environment=0)
    collected = 0

    def collect(*, minimum: int, maximum: int | None = None, timeout: float | None = None) -> list[Chunk]:
        nonlocal collected
        collected += 1
        if collected > 1:
            raise WorkersFailed("no worker is left")
        return [dataclasses.replace(chunk, episodes=(episode,)) for chunk in fleet._fleet.collect(minimum=1)]

    monkeypatch.setattr(fleet, "collect", collect)
    steps = loop.steps
    iteration = loop.advance(limit=1000)
    assert collected == 2
    assert loop.steps == steps + 1
    assert iteration.episodes == (episode,)
    assert iteration.policy_lags == (1,)
    with pytest.raises(WorkersFailed, match="no worker is left"):
        loop.advance(limit=1000)


def test_the_lag_counts_the_announced_policy() -> None:
    loop, _ = slow_loop()
    lags = [loop.advance(limit=1000).policy_lags for _ in range(4)]
    assert lags == [(0,), (1,), (1,), (1,)]


def test_ages_are_those_of_the_rows_that_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, _ = slow_loop()
    rows_made_by = [1] * 8  # the warm-up's
    drawn: list[Any] = []
    sample = loop._source.sample
    insert = loop.replay.insert

    def keep(**arguments: Any) -> Any:
        drawn.append(sample(**arguments))
        return drawn[-1]

    def note(chunk: Chunk) -> None:
        rows_made_by.extend([chunk.policy_version] * chunk.steps)
        insert(chunk)

    monkeypatch.setattr(loop._source, "sample", keep)
    monkeypatch.setattr(loop.replay, "insert", note)
    for call in range(4):
        version = loop.counters.policy_version
        (ages,) = loop.advance(limit=1000).policy_ages
        slots = drawn[call].origin.slot.ravel()
        assert ages.tolist() == [version - rows_made_by[slot] for slot in slots]
    assert set(rows_made_by) == {1, 2, 3, 4}
    assert ages.max() > ages.min() >= 0


def test_a_policy_of_another_moment_replaces_the_announced_one() -> None:
    loop, fleet = slow_loop()
    loop.advance(limit=1000)
    assert loop.counters.policy_version == 3
    loop.restore(state=loop.state(), counters=dataclasses.replace(loop.counters))
    assert fleet.log[-1] == ("sent", 3)
    fleet.log.clear()
    loop.advance(limit=1000)
    assert fleet.log == [("made by", 3)]
