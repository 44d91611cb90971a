"""How large the study is, in families, seeds, source tasks, data and updates; and where its files lie."""

import dataclasses
from pathlib import Path

from families import DOUBLE_PENDULUM, FAMILIES, Family

ROOT = Path("runs") / "multitask_imitation"
"""Where all stages put what they make, from the folder that the scripts are started in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """What is done, and how much of it."""

    name: str
    """Names the folder."""
    experts: str
    """Names the folder of experts, recordings and pre-trained policies, which scales can share."""
    families: tuple[Family, ...] = tuple(FAMILIES.values())
    """The families of tasks."""
    variants: str = "reported"
    """Which held-out variants: "reported", or "tuning", on which settings are chosen."""
    seeds: int = 5
    """Of everything behind the experts: recordings' choice, order of the source tasks, networks, batches."""
    expert_seeds: int = 1
    """Of the experts; seed s learns from the experts of seed s modulo this."""
    source_counts: tuple[int, ...] = (1, 2, 4, 8, 16)
    """From how many source tasks is learned beforehand."""
    amounts: tuple[int, ...] = (1, 2, 4, 8)
    """Data of a held-out variant, in multiples of the family's least."""
    fine_tuned_amounts: tuple[int, ...] = (1,)
    """With which of these pre-trained policies are fine-tuned, too."""
    pre_training_updates: int = 2000
    """Of multi-task cloning."""
    updates: int = 1000
    """Of fine-tuning, and of cloning from scratch."""
    episodes: int = 10
    """That each clone plays."""

    @property
    def folder(self) -> Path:
        """Where the study's files lie."""
        return ROOT / self.name

    @property
    def expert_folder(self) -> Path:
        """Where experts, recordings and pre-trained policies lie."""
        return ROOT / f"experts-{self.experts}"

    def held_out(self, family: Family) -> tuple[float, ...]:
        """List the held-out variants.

        :param family: of which family.
        :return: values, none of them a source's.
        """
        return family.reported if self.variants == "reported" else family.tuning

    def source_tasks(self, family: Family) -> tuple[float, ...]:
        """List the source tasks; if fewer than all are needed, some that span the range.

        :param family: of which family.
        :return: as many values as the largest number of source tasks.
        """
        count, sources = max(self.source_counts), family.sources
        return tuple(sources[index * (len(sources) - 1) // max(1, count - 1)] for index in range(count))

    def expert_seed(self, seed: int) -> int:
        """Say whose experts a seed learns from.

        :param seed: of the study.
        :return: the experts' seed.
        """
        return seed % self.expert_seeds


def _tiny(family: Family) -> Family:
    return dataclasses.replace(
        family, expert_steps=1500, recorded_episodes=2, source_transitions=20, least_transitions=10
    )


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="tiny",
            experts="tiny",
            families=(_tiny(DOUBLE_PENDULUM),),
            seeds=2,
            source_counts=(1, 2),
            amounts=(1, 2),
            pre_training_updates=5,
            updates=5,
            episodes=2,
        ),
        Scale(name="tuning", experts="small", variants="tuning"),
        Scale(name="small", experts="small"),
        Scale(name="full", experts="full", seeds=5, expert_seeds=5, fine_tuned_amounts=(1, 2, 4, 8), episodes=50),
    )
}
"""By name."""
