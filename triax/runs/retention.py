"""Which checkpoints of a run are kept, and in what extent.

The last few are kept in full, so that training can go on from any of them should the newest be damaged. Of the older
ones only the best is kept, without the parts (the replay above all) that acting does not need, and the policies that
one of those kept in full has yet to evaluate.
"""

from collections.abc import Collection
from dataclasses import dataclass

from triax.runs.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What is to be done with the checkpoints of a run.

    :param slim: the checkpoints that lose all but their agent parts, by steps.
    :param delete: the checkpoints that go.
    """

    slim: tuple[int, ...]
    delete: tuple[int, ...]


def best_of(manifests: Collection[Manifest]) -> Manifest | None:
    """Find the checkpoint with the highest score; of equals, the newest.

    :param manifests: the checkpoints to choose from.
    :return: the best, or ``None`` if none has a score.
    """
    scored = [(manifest.score, manifest.steps, manifest) for manifest in manifests if manifest.score is not None]
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def plan_retention(manifests: Collection[Manifest], *, keep_last: int) -> Retention:
    """Decide what is kept.

    :param manifests: all checkpoints that have a sound manifest.
    :param keep_last: how many of the newest complete ones are kept in full.
    :return: what is to be slimmed and deleted.
    """
    newest_first = sorted(manifests, key=lambda manifest: manifest.steps, reverse=True)
    kept = {entry.steps: entry for entry in [entry for entry in newest_first if entry.complete][:keep_last]}
    best = best_of(manifests)
    policies = {steps for manifest in kept.values() for steps in manifest.needs} | ({best.steps} if best else set())
    older = [manifest for manifest in manifests if manifest.steps not in kept]
    return Retention(
        slim=tuple(entry.steps for entry in older if entry.steps in policies and entry.parts != entry.agent_parts),
        delete=tuple(entry.steps for entry in older if entry.steps not in policies),
    )
