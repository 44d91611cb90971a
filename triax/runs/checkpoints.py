"""Checkpoints: consistent cuts of a run, sealed with checksums.

A checkpoint has named parts, each a tree of arrays (the learner, the replay, ...), and one document of counters. It is
written aside, synced to the disk, sealed with a manifest and renamed, so that a kill at any moment leaves the last
good one; :mod:`triax.runs.folders` says what else it can leave. One process at a time may write:
:meth:`triax.runs.RunDirectory.lock` sees to that. Any number may read meanwhile.
"""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

from triax.runs.arrays import Tree, TreeMismatch, decode_leaves, restore_tree
from triax.runs.errors import CheckpointDamaged, CheckpointFailed, CheckpointMismatch, NoCheckpoint
from triax.runs.files import JSON
from triax.runs.folders import CheckpointFolders
from triax.runs.manifest import COUNTERS_NAME, Manifest, UnsoundFile, part_file, read_manifest, verify_file
from triax.runs.retention import best_of
from triax.runs.saving import CheckpointContent, finite_score, let_go

T = TypeVar("T")


class CheckpointStore:
    """The checkpoints of one run.

    :param directory: the folder that holds them, ``checkpoints/`` in a run directory. It is made when the first one
        is saved.
    :param keep_last: how many of the newest are kept in full. The disk needs room for one more, since nothing is
        removed before the next one is safe.
    """

    def __init__(self, directory: Path, *, keep_last: int = 2) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}, and at least the last checkpoint has to be kept")
        self.directory = directory
        self.keep_last = keep_last
        self._folders = CheckpointFolders(directory)

    # ---- reading

    def steps(self) -> tuple[int, ...]:
        """List the checkpoints.

        :return: their steps, ascending.
        """
        return tuple(self._folders.all())

    def manifest(self, steps: int) -> Manifest:
        """Read what a checkpoint holds.

        :param steps: the checkpoint.
        :return: its manifest.
        :raises NoCheckpoint: if there is none of these steps.
        :raises CheckpointDamaged: if its manifest is missing or damaged.
        """
        folder = self._folders.of(steps)
        try:
            return read_manifest(folder)
        except UnsoundFile as error:
            self._raise_damaged(steps=steps, error=error)

    def resolve(self, checkpoint: Literal["last", "best"] | int, *, full: bool) -> int:
        """Find the checkpoint that a user means.

        :param checkpoint: the last one, the one with the highest score, or the one of these steps.
        :param full: whether it has to hold all parts, as going on with training needs. "last" is then the newest that
            does, and any other that does not is refused.
        :return: its steps.
        :raises NoCheckpoint: if there is none; the message says which there are.
        :raises CheckpointDamaged: if a manifest that has to be read is missing or damaged.
        """
        if checkpoint == "best":
            best = best_of([self.manifest(steps) for steps in self.steps()])
            if best is None:
                raise NoCheckpoint(f"no checkpoint in {self.directory} has a score; {self._folders.existing()}")
            found = best.steps
        elif checkpoint == "last":
            candidates = [steps for steps in reversed(self.steps()) if not full or self.manifest(steps).complete]
            if not candidates:
                which = "complete checkpoint" if full else "checkpoint"
                raise NoCheckpoint(f"there is no {which} in {self.directory}; {self._folders.existing()}")
            found = candidates[0]
        elif isinstance(checkpoint, int):
            found = checkpoint
        else:
            raise NoCheckpoint(
                f'checkpoint={checkpoint!r} is neither "last" nor "best" nor a number of steps; '
                f"{self._folders.existing()}"
            )
        if full and not self.manifest(found).complete:
            raise NoCheckpoint(
                f"checkpoint {found} in {self.directory} keeps the agent only, so training cannot go on from it; "
                f"{self._folders.existing()}"
            )
        self._folders.of(found)
        return found

    def load(self, *, steps: int, part: str, template: T, exact_shapes: bool = True) -> T:
        """Load one part of a checkpoint.

        The part's checksum is verified first. The arrays are NumPy's, whatever was saved.

        :param steps: the checkpoint.
        :param part: the part's name.
        :param template: a tree of the structure, dtypes and shapes to expect; its values do not matter, and its arrays
            may be ``jax.ShapeDtypeStruct``.
        :param exact_shapes: whether the shapes have to agree with the template's.
        :return: the tree.
        :raises NoCheckpoint: if there is no such checkpoint, or it holds no such part.
        :raises CheckpointDamaged: if a file is missing or differs from its checksum.
        :raises CheckpointMismatch: if the part does not fit the template.
        """
        manifest, folder = self.manifest(steps), self._folders.of(steps)
        if part not in manifest.parts:
            held = ", ".join(manifest.parts)
            reason = "" if manifest.complete else " (an older checkpoint keeps the agent only)"
            raise NoCheckpoint(f"checkpoint {steps} in {self.directory} holds no part {part!r}, but {held}{reason}")
        try:
            verify_file(folder=folder, manifest=manifest, name=part_file(part))
        except UnsoundFile as error:
            self._raise_damaged(steps=steps, error=error)
        try:
            return restore_tree(
                arrays=decode_leaves(folder / part_file(part)), template=template, exact_shapes=exact_shapes
            )
        except TreeMismatch as error:
            raise CheckpointMismatch(
                f"part {part!r} of checkpoint {steps} in {self.directory} does not fit what it is loaded into:\n{error}"
            ) from None

    def counters(self, steps: int) -> dict[str, JSON]:
        """Load the counters of a checkpoint.

        :param steps: the checkpoint.
        :return: the document that was saved.
        :raises NoCheckpoint: if there is none of these steps.
        :raises CheckpointDamaged: if a file is missing or differs from its checksum.
        """
        manifest, folder = self.manifest(steps), self._folders.of(steps)
        try:
            verify_file(folder=folder, manifest=manifest, name=COUNTERS_NAME)
        except UnsoundFile as error:
            self._raise_damaged(steps=steps, error=error)
        document: dict[str, JSON] = json.loads((folder / COUNTERS_NAME).read_bytes())
        return document

    def verify(self, steps: int) -> None:
        """Verify every file of a checkpoint.

        :param steps: the checkpoint.
        :raises NoCheckpoint: if there is none of these steps.
        :raises CheckpointDamaged: if a file is missing or differs from its checksum.
        """
        folder = self._folders.of(steps)
        try:
            _verify_folder(folder)
        except UnsoundFile as error:
            self._raise_damaged(steps=steps, error=error)

    # ---- writing

    def save(
        self,
        *,
        steps: int,
        parts: Mapping[str, Tree],
        counters: Mapping[str, JSON],
        agent_parts: Collection[str],
        score: float | None,
        needs: Collection[int] = (),
    ) -> None:
        """Save a checkpoint, and let go of older ones that need not be kept.

        An existing checkpoint of the same steps is replaced. After a kill at any moment the new one is there in whole,
        or all is as it was before.

        :param steps: the environment steps after which it is made.
        :param parts: what it consists of, by name.
        :param counters: numbers and words beside the arrays.
        :param agent_parts: the parts that acting needs; an older checkpoint keeps these alone.
        :param score: what "best" goes by, higher is better. One that is not finite counts as none.
        :param needs: the checkpoints of :meth:`save_policy` that are kept as long as this one is complete.
        :raises TypeError: if a leaf or a counter cannot be stored; nothing was written.
        :raises ValueError: if a name is not fit for a file, or a later checkpoint exists: a run that goes on from
            an earlier one calls :meth:`discard_after` first.
        :raises CheckpointFailed: if the disk is full or cannot be written. Earlier checkpoints are untouched.
        """
        content = CheckpointContent(
            steps=steps, parts=parts, counters=counters, agent_parts=agent_parts, score=score, needs=needs
        )
        self._save(content)
        try:
            let_go(folders=self._folders, keep_last=self.keep_last)
        except OSError as error:
            raise CheckpointFailed(
                f"checkpoint {steps} is safe, but older ones in {self.directory} could not be let go of: {error}"
            ) from error

    def save_policy(self, *, steps: int, parts: Mapping[str, Tree]) -> None:
        """Save what acting needs alone, for an evaluation that is to come. It counts as no place to go on from.

        Nothing is let go of. A checkpoint of the same steps that is there already has the same policy, and stays.

        :param steps: the environment steps after which it is made.
        :param parts: the agent's parts, by name.
        :raises ValueError: as :meth:`save`.
        :raises CheckpointFailed: as :meth:`save`.
        """
        if steps not in self.steps():
            self._save(
                CheckpointContent(
                    steps=steps, parts=parts, counters={}, agent_parts=tuple(parts), score=None, complete=False
                )
            )

    def set_score(self, *, steps: int, score: float) -> None:
        """Say how good the policy of a checkpoint is.

        :param steps: the checkpoint.
        :param score: what "best" goes by, higher is better. One that is not finite counts as none.
        :raises NoCheckpoint: if there is none of these steps.
        :raises CheckpointDamaged: if its manifest is missing or damaged.
        :raises OSError: if it cannot be written.
        """
        replace(self.manifest(steps), score=finite_score(score)).write(self._folders.of(steps))

    def prepare(self) -> None:
        """Make the folder and clear what a crash left behind; for the process that trains alone.

        :raises OSError: if the disk cannot be written.
        """
        self._folders.prepare()

    def discard_after(self, steps: int) -> tuple[int, ...]:
        """Delete the checkpoints later than the one that a run goes on from: they belong to a future that is undone.

        :param steps: the checkpoint that the run goes on from; −1 if it begins again.
        :return: the checkpoints that were deleted.
        :raises NoCheckpoint: if there is none of these steps; nothing was deleted.
        """
        if steps >= 0:
            self._folders.of(steps)
        self.prepare()
        later = tuple(existing for existing in self.steps() if existing > steps)
        for existing in reversed(later):
            self._folders.delete(existing)
        return later

    # ---- inside

    def _save(self, content: CheckpointContent) -> None:
        steps = content.steps
        later = [existing for existing in self.steps() if existing > steps]
        if later:
            raise ValueError(f"checkpoint {steps} cannot be saved while {later[-1]} is there: call discard_after first")
        try:
            self._folders.prepare()
            content.write(self._folders.make_aside(steps))
            self._folders.put_in_place(steps)
        except OSError as error:
            self._folders.abandon(steps)
            raise CheckpointFailed(self._failure(content=content, error=error)) from error
        except BaseException:
            self._folders.abandon(steps)
            raise

    def _failure(self, *, content: CheckpointContent, error: OSError) -> str:
        where = self.directory / str(content.steps)
        try:
            free = f"{shutil.disk_usage(self.directory).free / 2**20:,.1f} MiB are free there"
        except OSError:
            free = "the free space there is unknown"
        existing = self._folders.existing() if self.steps() else "there was none before it"
        return (
            f"checkpoint {where} could not be written: {os.strerror(error.errno or 0)}; it takes "
            f"{content.size / 2**20:,.1f} MiB, and {free}; {existing}"
        )

    def _raise_damaged(self, *, steps: int, error: UnsoundFile) -> NoReturn:
        if steps not in self._folders.all():
            raise NoCheckpoint(f"checkpoint {steps} in {self.directory} was removed while it was read") from None
        raise CheckpointDamaged(f"checkpoint {steps} is damaged: {error}. {self._way_out(steps)}") from None

    def _way_out(self, damaged: int) -> str:
        earlier = [steps for steps in reversed(self.steps()) if steps < damaged]
        later = [steps for steps in self.steps() if steps > damaged]
        for steps in [*earlier, *later]:
            try:
                manifest = _verify_folder(self._folders.of(steps))
            except (UnsoundFile, NoCheckpoint):
                continue
            none_earlier = "" if steps < damaged else "No earlier checkpoint is sound. "
            extent = "" if manifest.complete else " (it keeps the agent only: it can be evaluated, but not resumed)"
            return f"{none_earlier}Checkpoint {steps} is sound; to use it: --checkpoint {steps}{extent}"
        return f"There is no {'other' if later else 'earlier'} checkpoint that is sound."


def _verify_folder(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    for name in manifest.files:
        verify_file(folder=folder, manifest=manifest, name=name)
    return manifest
