"""What every clone of every held-out variant is worth, a file of JSON lines for each variant."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from families import Family
from playing import Arena, expert_return, normalised_return, random_return
from scales import Scale
from transfer import CloneLearners, Parameters, clone_variant, family_spec, pre_train

from triax.runs.files import write_atomically

Row = dict[str, Any]
"""Of a result."""


def evaluate_variants(*, scale: Scale, family: Family) -> list[Row]:
    """Train and play the clones of all held-out variants, unless that is done.

    :param scale: of the study.
    :param family: whose variants.
    :return: a row for each variant and expert, and one for each clone.
    """
    rows: list[Row] = []
    pre_trained: Mapping[int, Parameters] | None = None
    learners = CloneLearners.of(family)
    for value in scale.held_out(family):
        path = scale.folder / "evaluations" / f"{family.name}-{value:g}.jsonl"
        if not path.exists():
            pre_trained = pre_trained or pre_train(scale=scale, family=family)
            found = _evaluated(scale=scale, family=family, value=value, learners=learners, pre_trained=pre_trained)
            _write(path, found)
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    return rows


def _evaluated(
    *, scale: Scale, family: Family, value: float, learners: CloneLearners, pre_trained: Mapping[int, Parameters]
) -> list[Row]:
    spec = family_spec(family)
    at_random = random_return(scale=scale, family=family, value=value, spec=spec)
    of_experts = [
        expert_return(scale=scale, family=family, value=value, seed=seed) for seed in range(scale.expert_seeds)
    ]
    variant = {"family": family.name, "value": value}
    rows: list[Row] = [
        {
            "kind": "variant",
            **variant,
            "expert_seed": seed,
            "expert_return": round(own, 2),
            "random_return": round(at_random, 2),
        }
        for seed, own in enumerate(of_experts)
    ]
    policies = clone_variant(scale=scale, family=family, value=value, learners=learners, pre_trained=pre_trained)
    # All clones act alike; only how they learned differs.
    policy = learners.from_scratch.policy
    arena = Arena(family=family, value=value, policy=policy, spec=spec, episodes=scale.episodes)
    for clone, parameters in policies.items():
        found = arena.mean_return(parameters)
        expert = of_experts[scale.expert_seed(clone.seed)]
        rows.append(
            {
                "kind": "clone",
                **variant,
                "seed": clone.seed,
                "sources": clone.sources,
                "transitions": clone.amount * family.least_transitions,
                "return": round(found, 2),
                "normalised": round(normalised_return(value=found, expert=expert, random=at_random), 4),
            }
        )
    arena.close()
    print(f"{family.name} {value:g}: {len(policies)} clones trained and played", flush=True)
    return rows


def _write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path=path, content="".join(json.dumps(row) + "\n" for row in rows).encode())
