"""The folders that checkpoints live in, and what a kill can leave of them.

A checkpoint is the folder ``<steps>/``, which is there in whole or not at all. It is written into a hidden folder
beside the others and renamed. Hidden folders are the only thing that a kill can leave behind:

- ``.saving-<steps>``: a checkpoint that was being written. It is worthless.
- ``.replaced-<steps>``: the former checkpoint of the same steps, while the new one takes its place. If the new one did
  not get there, this is the checkpoint ``<steps>``, and it is read as such.
- ``.deleting-<steps>``: a checkpoint that was being deleted.

Reading changes nothing on the disk, so that a run can be evaluated and plotted while it trains.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triax.runs.errors import NoCheckpoint
from triax.runs.files import aside_of, sync_directory
from triax.runs.manifest import MANIFEST_NAME, PART_SUFFIX, UnsoundFile, read_manifest

_SAVING, _REPLACED, _DELETING = ".saving-", ".replaced-", ".deleting-"
_STEPS = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True)
class CheckpointFolders:
    """The folders of one run's checkpoints.

    :param directory: the folder that holds them.
    """

    directory: Path

    def all(self) -> Mapping[int, Path]:
        """List the checkpoints.

        :return: their folders by steps, ascending.
        """
        if not self.directory.is_dir():
            return {}
        folders: dict[int, Path] = {}
        for path in self.directory.iterdir():
            name = path.name.removeprefix(_REPLACED)
            is_final = name == path.name
            if _STEPS.fullmatch(name) and path.is_dir() and (is_final or int(name) not in folders):
                folders[int(name)] = path
        return dict(sorted(folders.items()))

    def of(self, steps: int) -> Path:
        """Find a checkpoint.

        :param steps: the checkpoint.
        :return: its folder.
        :raises NoCheckpoint: if there is none of these steps; the message says which there are.
        """
        folder = self.all().get(steps)
        if folder is None:
            raise NoCheckpoint(f"there is no checkpoint {steps} in {self.directory}; {self.existing()}")
        return folder

    def existing(self) -> str:
        """Say which checkpoints there are, for messages.

        :return: a clause.
        """
        steps = ", ".join(map(str, self.all()))
        return f"there are {steps}" if steps else "there are none at all"

    def prepare(self) -> None:
        """Make the folder and clear what a crash left behind; for the process that trains alone.

        :raises OSError: if the disk cannot be written.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        for replaced in self.directory.glob(_REPLACED + "*"):
            final = self.directory / replaced.name.removeprefix(_REPLACED)
            if final.exists():
                shutil.rmtree(replaced)
            else:
                replaced.rename(final)
        for pattern in (_SAVING, _DELETING):
            for leftover in self.directory.glob(pattern + "*"):
                shutil.rmtree(leftover)
        for folder in self.all().values():
            remove_unlisted(folder)

    def make_aside(self, steps: int) -> Path:
        """Make the hidden folder that a checkpoint is written into.

        :param steps: the checkpoint.
        :return: the folder, empty.
        :raises OSError: if it cannot be made.
        """
        aside = self.directory / f"{_SAVING}{steps}"
        aside.mkdir()
        return aside

    def put_in_place(self, steps: int) -> None:
        """Make the hidden folder of a checkpoint the checkpoint; one that exists is replaced.

        :param steps: the checkpoint, whose hidden folder is written and synced.
        :raises OSError: if the folders cannot be renamed.
        """
        final, replaced = self.directory / str(steps), self.directory / f"{_REPLACED}{steps}"
        if final.exists():
            final.rename(replaced)
        (self.directory / f"{_SAVING}{steps}").rename(final)
        sync_directory(self.directory)
        if replaced.exists():
            shutil.rmtree(replaced)

    def abandon(self, steps: int) -> None:
        """Remove the hidden folder of a checkpoint that could not be written.

        :param steps: the checkpoint.
        """
        shutil.rmtree(self.directory / f"{_SAVING}{steps}", ignore_errors=True)
        final, replaced = self.directory / str(steps), self.directory / f"{_REPLACED}{steps}"
        if replaced.exists() and not final.exists():
            replaced.rename(final)

    def delete(self, steps: int) -> None:
        """Delete a checkpoint.

        :param steps: the checkpoint.
        :raises OSError: if it cannot be deleted.
        """
        # Under another name first, so that no half of a checkpoint is ever seen under its own.
        doomed = self.directory / f"{_DELETING}{steps}"
        (self.directory / str(steps)).rename(doomed)
        shutil.rmtree(doomed)


def remove_unlisted(folder: Path) -> None:
    """Remove the files of parts that a checkpoint's manifest does not list, or no longer.

    :param folder: the checkpoint's folder; one with a damaged manifest is left alone.
    :raises OSError: if they cannot be removed.
    """
    try:
        listed = read_manifest(folder).files
    except UnsoundFile:
        return
    for path in [*folder.glob("*" + PART_SUFFIX), aside_of(folder / MANIFEST_NAME)]:
        if path.name not in listed:
            path.unlink(missing_ok=True)
