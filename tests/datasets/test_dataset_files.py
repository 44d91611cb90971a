"""Writing and reading: what was recorded comes back, and what cannot work is refused before anything is written."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from dataset_helpers import ACTION_SPACE, OBSERVATION_SPACE, episode_names, made_dataset, record, write

from triax.datasets import (
    Dataset,
    DatasetConfig,
    DatasetNotes,
    RecordedEpisode,
    list_datasets,
    load_dataset,
    write_dataset,
)
from triax.spaces import UnsupportedSpace, space_spec

OBSERVATIONS = gymnasium.spaces.Dict(
    {
        "image": gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8),
        "inner": gymnasium.spaces.Dict({"mode": gymnasium.spaces.Discrete(3, start=1)}),
        "state": gymnasium.spaces.Box(-4.0, 4.0, (2,), np.float64),
    }
)
ACTIONS = gymnasium.spaces.Tuple(
    (
        gymnasium.spaces.Discrete(2),
        gymnasium.spaces.Tuple(
            (gymnasium.spaces.Box(-1.0, 3.0, (1,), np.float32), gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32))
        ),
    )
)


def played(*, steps: int, seed: int) -> RecordedEpisode:
    observations, actions = OBSERVATIONS, ACTIONS
    observations.seed(seed)
    actions.seed(seed)
    return RecordedEpisode(
        observations=[observations.sample() for _ in range(steps + 1)],
        actions=[actions.sample() for _ in range(steps)],
        rewards=[float(step) for step in range(steps)],
        terminated=False,
        truncated=True,
        seed=seed,
    )


def test_dicts_images_and_mixed_actions_come_back(tmp_path: Path) -> None:
    episodes = [played(steps=3, seed=0), played(steps=2, seed=1)]
    write_dataset(id="mixed-v0", episodes=episodes, observation_space=OBSERVATIONS, action_space=ACTIONS, root=tmp_path)
    dataset = load_dataset(DatasetConfig(id="mixed-v0", root=tmp_path))
    rows = dataset.trajectory
    second = episodes[1]
    # The second episode's rows are 4 and 5, and its final observation is 6. Images are as they were, without loss.
    for row, recorded in zip((4, 5, 6), second.observations, strict=True):
        np.testing.assert_array_equal(rows.observation["image"][row, 0], recorded["image"])
        assert rows.observation["inner"]["mode"][row, 0] == recorded["inner"]["mode"] - 1
        np.testing.assert_allclose(rows.observation["state"][row, 0], recorded["state"] / 4, rtol=1e-6)
    outside = dataset.action_spec.unstack_to_outside(jax.tree.map(lambda leaf: leaf[4:6, 0], rows.action))
    for returned, (choice, parts) in zip(outside, second.actions, strict=True):
        assert returned[0] == choice
        for part, expected in zip(returned[1], parts, strict=True):
            np.testing.assert_allclose(part, expected, atol=1e-6)
    assert rows.truncated[:, 0].tolist() == [False, False, True, False, False, True]


def test_an_environments_spaces_and_spec_are_noted(tmp_path: Path) -> None:
    environment = gymnasium.make("Pendulum-v1")
    environment.action_space.seed(0)
    observation, _ = environment.reset(seed=0)
    actions = [environment.action_space.sample() for _ in range(3)]
    steps = [environment.step(action) for action in actions]
    episode = RecordedEpisode(
        observations=[observation, *(step[0] for step in steps)],
        actions=actions,
        rewards=[float(step[1]) for step in steps],
        terminated=False,
        truncated=False,
        seed=0,
    )
    notes = DatasetNotes(description="three swings", author="someone", expert_return=-150.0, random_return=-1200.0)
    folder = write_dataset(id="pendulum-v3", episodes=[episode], environment=environment, root=tmp_path, notes=notes)
    metadata = json.loads((folder / "data" / "metadata.json").read_text())
    assert json.loads(metadata["env_spec"])["id"] == "Pendulum-v1"
    assert metadata["total_steps"] == 3
    assert metadata["mean_return"] == pytest.approx(sum(episode.rewards))
    assert (metadata["ref_min_score"], metadata["ref_max_score"]) == (-1200.0, -150.0)
    expected = space_spec(space=environment.action_space, role="action")
    dataset = load_dataset(DatasetConfig(id="pendulum-v3", root=tmp_path), action_spec=expected)
    assert dataset.action_spec == expected
    # A recording that merely stops was cut off: it is truncated, and bootstraps (trap 11).
    assert dataset.trajectory.truncated[:, 0].tolist() == [False, False, True]
    environment.close()


def test_minari_reads_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    write(tmp_path, episodes=record(lengths=[2, 3]))
    assert list(minari.list_local_datasets()) == ["made/up-v0"]
    dataset = minari.load_dataset("made/up-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (2, 5)
    assert dataset[1].rewards.tolist() == [10.0, 11.0, 12.0]
    assert [episode["seed"] for episode in dataset.storage.get_episode_metadata([0, 1])] == [0, 1]


def test_what_minari_wrote_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffer = minari.data_collector.EpisodeBuffer(
        observations=np.arange(6.0).reshape(3, 2),
        actions=np.zeros((2, 1), np.float32),
        rewards=[1.0, 2.0],
        terminations=[False, True],
        truncations=[False, False],
        infos={},
    )
    with pytest.warns(UserWarning, match="None"):  # it asks for an author and the like
        minari.create_dataset_from_buffers(
            "theirs-v0", [buffer], observation_space=OBSERVATION_SPACE, action_space=ACTION_SPACE
        )
    dataset = load_dataset(DatasetConfig(id="theirs-v0"))  # by the variable
    assert dataset.trajectory.observation[:, 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert list_datasets() == ("theirs-v0",)


@pytest.mark.parametrize("id", ["bad", "bad-v", "a b-v0", "../up-v0", "-v0/", "x-v0.1", "", "/absolute-v0", "m/up-v0"])
def test_malformed_ids_are_refused_before_anything_is_written(tmp_path: Path, id: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        write(tmp_path / "root", id=id, episodes=record(lengths=[1]))
    with pytest.raises(ValueError, match="malformed"):
        DatasetConfig(id=id)
    assert not (tmp_path / "root").exists()


def test_nothing_is_overwritten_and_nothing_half_written_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, episodes=record(lengths=[2]))
    with pytest.raises(FileExistsError, match="give a new version"):
        write(tmp_path, episodes=record(lengths=[3]))
    assert load_dataset(DatasetConfig(id="made/up-v0", root=tmp_path)).steps == 2

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path, id="made/other-v0", episodes=record(lengths=[3]))
    assert list(folder.parent.iterdir()) == [folder]


def test_episodes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def attempt(**changes: Any) -> None:
        fields = vars(record(lengths=[2])[0]) | changes
        write(tmp_path, episodes=[RecordedEpisode(**fields)])

    with pytest.raises(ValueError, match="episode 0 has 1 observations, 2 actions and 2 rewards"):
        attempt(observations=[np.zeros(2)])
    with pytest.raises(ValueError, match=r"episode 0 has values of float64\(3,\)"):
        attempt(observations=[np.zeros(3)] * 3)
    with pytest.raises(ValueError, match="not a finite number"):
        attempt(rewards=[0.0, float("nan")])
    with pytest.raises(ValueError, match="no episodes"):
        write(tmp_path, episodes=[])
    with pytest.raises(ValueError, match="needs an environment, or both"):
        write_dataset(id="x-v0", episodes=record(lengths=[1]), root=tmp_path)
    with pytest.raises(UnsupportedSpace):
        write_dataset(
            id="x-v0",
            episodes=record(lengths=[1]),
            observation_space=OBSERVATION_SPACE,
            action_space=gymnasium.spaces.Box(-np.inf, np.inf, (1,)),
            root=tmp_path,
        )
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_id_names_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there are: none"):
        load_dataset(DatasetConfig(id="made/up-v1", root=tmp_path))
    write(tmp_path, episodes=record(lengths=[1]))
    write(tmp_path, id="other-v2", episodes=record(lengths=[1]))
    with pytest.raises(FileNotFoundError, match="there are: made/up-v0, other-v2"):
        load_dataset(DatasetConfig(id="made/up-v1", root=tmp_path))


def test_other_spaces_are_refused(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, lengths=[1])
    config = DatasetConfig(id="made/up-v0", root=tmp_path)
    wider = space_spec(space=gymnasium.spaces.Box(-3.0, 3.0, (1,)), role="action")
    with pytest.raises(ValueError, match="other actions than the environment"):
        load_dataset(config, action_spec=wider)
    # The environment's dtype says nothing about the inside: float32 where float64 was recorded is no difference.
    single = space_spec(space=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32), role="observation")
    assert single != dataset.observation_spec
    assert load_dataset(config, observation_spec=single).observation_spec == single


def test_a_subset_is_read(tmp_path: Path) -> None:
    write(tmp_path, episodes=record(lengths=[1, 2, 3, 4, 5]))

    def names(**options: Any) -> list[int]:
        return episode_names(load_dataset(DatasetConfig(id="made/up-v0", root=tmp_path, **options)))

    assert names(episodes=3) == [0, 1, 2]
    assert names(episodes=3, episodes_seed=1) == names(episodes=3, episodes_seed=1)
    assert len({tuple(names(episodes=3, episodes_seed=seed)) for seed in range(8)}) > 2
    with pytest.raises(ValueError, match="episodes is 6, but the dataset has 5"):
        names(episodes=6)
    with pytest.raises(ValueError, match=r"DatasetConfig.episodes is 0"):
        names(episodes=0)


def test_damaged_episodes_are_refused(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")

    folder = write(tmp_path, episodes=record(lengths=[3, 3]))
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file["episode_1"]["terminations"][0] = True
    with pytest.raises(ValueError, match="episode 1 of the dataset 'made/up-v0' goes on after it ended"):
        load_dataset(DatasetConfig(id="made/up-v0", root=tmp_path))
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file["episode_0"]["rewards"].resize((2,))
    with pytest.raises(ValueError, match="episode 0 of the dataset 'made/up-v0' is damaged"):
        load_dataset(DatasetConfig(id="made/up-v0", root=tmp_path))


def test_trap_23_loading_brings_no_random_state_along(tmp_path: Path) -> None:
    write(tmp_path, episodes=record(lengths=[1, 2, 3, 1, 2, 3]))
    config = DatasetConfig(id="made/up-v0", root=tmp_path, episodes=3, episodes_seed=5)
    load_dataset(config)  # What is imported at first use may do as it likes.
    loaded = []
    for seed in (1, 2):
        # The process's own generator neither decides what is loaded nor is changed by it.
        np.random.seed(seed)  # noqa: NPY002
        expected = np.random.random(4)  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        loaded.append(load_dataset(config))
        np.testing.assert_array_equal(np.random.random(4), expected)  # noqa: NPY002
    assert episode_names(loaded[0]) == episode_names(loaded[1])
    # Nothing but rows, specs and numbers of tasks is in it.
    assert {field.name for field in dataclasses.fields(Dataset)} == {
        "trajectory",
        "observation_spec",
        "action_spec",
        "tasks",
    }


def test_importing_the_package_does_not_import_minari() -> None:
    code = "import sys, triax.datasets; assert 'minari' not in sys.modules and 'h5py' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def _link_outside(file: Any, folder: Path) -> None:
    import h5py

    del file["episode_0/rewards"]
    file["episode_0/rewards"] = h5py.ExternalLink("other.hdf5", "/rewards")


def _link_inside(file: Any, folder: Path) -> None:
    import h5py

    file["episode_2"] = h5py.SoftLink("/episode_0")


def _external_values(file: Any, folder: Path) -> None:
    (folder / "raw").write_bytes(bytes(24))
    del file["episode_0/rewards"]
    file["episode_0"].create_dataset("rewards", (3,), "f8", external=[(str(folder / "raw"), 0, 24)])


def _virtual(file: Any, folder: Path) -> None:
    import h5py

    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.hdf5", "rewards", shape=(3,))
    del file["episode_0/rewards"]
    file["episode_0"].create_virtual_dataset("rewards", layout)


def _references(file: Any, folder: Path) -> None:
    import h5py

    del file["episode_0/rewards"]
    file["episode_0"].create_dataset("rewards", data=[file["episode_1"].ref] * 3, dtype=h5py.ref_dtype)


def _vectors(file: Any, folder: Path) -> None:
    import h5py

    file["episode_0"].create_dataset("extra", (3,), dtype=h5py.vlen_dtype(np.float64))


def _loop(file: Any, folder: Path) -> None:
    file["episode_0/again"] = file["/"]


def _no_number(file: Any, folder: Path) -> None:
    file["episode_0/observations"][1, 0] = np.nan


def _no_reward(file: Any, folder: Path) -> None:
    file["episode_0/rewards"][1] = np.inf


def _words(file: Any, folder: Path) -> None:
    del file["episode_0/rewards"]
    file["episode_0/rewards"] = ["a", "b", "c"]


def _nothing(file: Any, folder: Path) -> None:
    del file["episode_0/rewards"]


def _other_shape(file: Any, folder: Path) -> None:
    del file["episode_0/observations"]
    file["episode_0/observations"] = np.zeros((4, 3))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_link_outside, r"a link to somewhere else at /episode_0/rewards"),
        (_link_inside, r"a link to somewhere else at /episode_2"),
        (_external_values, r"values lie in other files at /episode_0/rewards"),
        (_virtual, r"values lie in other files at /episode_0/rewards"),
        (_references, r"an array of objects \(object\) at /episode_0/rewards"),
        (_vectors, r"an array of objects \(object\) at /episode_0/extra"),
        (_loop, r"what stands elsewhere in the file, too, at /episode_0/again"),
        (_no_number, r"episode 0 of the dataset 'made/up-v0' has observations that are no finite numbers"),
        (_no_reward, r"episode 0 of the dataset 'made/up-v0' has rewards that are no finite numbers"),
        (_words, r"episode 0 of the dataset 'made/up-v0' is damaged"),
        (_nothing, r"the dataset 'made/up-v0' is damaged, and cannot be read: .*rewards"),
        (_other_shape, r"has observations of the shape \(3,\), where its space says \(2,\)"),
    ],
)
def test_what_leads_out_of_the_file_objects_and_damage_are_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    h5py: Any = pytest.importorskip("h5py")
    folder = write(tmp_path, episodes=record(lengths=[3, 3])) / "data"
    config = DatasetConfig(id="made/up-v0", root=tmp_path)
    assert load_dataset(config).steps == 6
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        spoil(file, folder)
    with pytest.raises(ValueError, match=message):
        load_dataset(config)


def test_an_option_that_is_not_there_is_refused(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")
    episode = dataclasses.replace(record(lengths=[2])[0], actions=[np.int64(1), np.int64(2)])
    folder = write_dataset(
        id="made/up-v0",
        episodes=[episode],
        observation_space=OBSERVATION_SPACE,
        action_space=gymnasium.spaces.Discrete(2, start=1),
        root=tmp_path,
    )
    config = DatasetConfig(id="made/up-v0", root=tmp_path)
    assert load_dataset(config).trajectory.action[:, 0].tolist() == [0, 1]
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file["episode_0/actions"][1] = 3
    with pytest.raises(ValueError, match="episode 0 of the dataset 'made/up-v0' has actions that are none of the opt"):
        load_dataset(config)


@pytest.mark.parametrize("name", ["metadata.json", "main_data.hdf5"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, episodes=record(lengths=[3])) / "data" / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="the dataset 'made/up-v0' is damaged"):
        load_dataset(DatasetConfig(id="made/up-v0", root=tmp_path))


def test_the_environment_that_a_file_names_is_neither_imported_nor_made(tmp_path: Path) -> None:
    folder = write(tmp_path, episodes=record(lengths=[3])) / "data"
    metadata = json.loads((folder / "metadata.json").read_text())
    # Making this one would import a module that is not there.
    specification = {"id": "Made-v0", "entry_point": "no_such_module:Environment", "additional_wrappers": []}
    metadata["env_spec"] = json.dumps(specification)
    (folder / "metadata.json").write_text(json.dumps(metadata))
    config = DatasetConfig(id="made/up-v0", root=tmp_path)
    assert load_dataset(config).steps == 3
    del metadata["action_space"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="does not say what its spaces are"):
        load_dataset(config)


def test_so_many_transitions_are_read_and_the_last_episode_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, episodes=record(lengths=[2, 3, 2]))

    def read(**options: Any) -> Dataset:
        return load_dataset(DatasetConfig(id="made/up-v0", root=tmp_path, **options))

    cut = read(transitions=4)
    assert (cut.steps, cut.episodes, episode_names(cut)) == (4, 2, [0, 1])
    # Episode 0 ended by itself; episode 1 is cut off after its second step, and bootstraps (trap 11).
    assert cut.trajectory.observation[:, 0].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert cut.trajectory.terminated[:, 0].tolist() == [False, True, False, False, False]
    assert cut.trajectory.truncated[:, 0].tolist() == [False, False, False, False, True]
    assert cut.trajectory.is_last[:, 0].tolist() == [False, False, True, False, False, True]
    assert cut.returns.tolist() == [1.0, 21.0]
    # Exactly at an episode's end nothing is cut.
    whole = read(transitions=5)
    assert whole.episodes == 2
    assert whole.trajectory.terminated[-1, 0]
    assert not whole.trajectory.truncated[-1, 0]
    # Of the episodes that a seed chooses.
    assert read(episodes=2, episodes_seed=1, transitions=3).steps == 3
    with pytest.raises(ValueError, match="transitions is 8, but the dataset has 7"):
        read(transitions=8)
    with pytest.raises(ValueError, match=r"DatasetConfig.transitions is 0"):
        read(transitions=0)


def test_statistics_by_hand(tmp_path: Path) -> None:
    # Returns: 0 + 1 = 1, and 10 + 11 + 12 = 33.
    found = made_dataset(tmp_path, lengths=[2, 3], task=4).statistics()
    assert (found.episodes, found.steps, found.mean_return, found.return_deviation) == (2, 5, 17.0, 16.0)
    assert (found.lowest_return, found.highest_return) == (1.0, 33.0)
    assert (found.shortest_episode, found.longest_episode, found.terminated_share) == (2, 3, 1.0)
    assert found.episodes_of_task == {4: 2}


def test_the_physics_of_each_episode_and_the_task_are_noted(tmp_path: Path) -> None:
    import minari.dataset.minari_storage

    episodes = [
        dataclasses.replace(episode, physics={"mass": 1.5 + n}) for n, episode in enumerate(record(lengths=[2, 3]))
    ]
    folder = write_dataset(
        id="made/up-v0",
        episodes=episodes,
        observation_space=OBSERVATION_SPACE,
        action_space=ACTION_SPACE,
        root=tmp_path,
        notes=DatasetNotes(task="lift"),
    )
    storage = minari.dataset.minari_storage.MinariStorage.read(folder / "data")
    assert [own["physics"]["mass"] for own in storage.get_episode_metadata([0, 1])] == [1.5, 2.5]
    assert json.loads((folder / "data" / "metadata.json").read_text())["task"] == "lift"


def test_the_root_may_be_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("here"), id="made/up-v0", episodes=record(lengths=[2]))
    assert (tmp_path / "here" / "made" / "up-v0").is_dir()
    assert load_dataset(DatasetConfig(id="made/up-v0", root=Path("here"))).steps == 2
