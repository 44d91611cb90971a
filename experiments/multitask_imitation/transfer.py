"""Pre-training on source tasks, and clones of a held-out variant: from scratch, and from what was pre-trained.

All seeds of one number of source tasks are one compiled program, and so are all clones of a kind of one variant.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
from cloning import initial_states, member, policies, stacked, train_clones
from families import NETWORK, Family
from recordings import recorded_steps
from scales import Scale

import triax
from triax.learners.actor import ActorParameters
from triax.learners.bc import BC
from triax.learners.cloning.learner import Cloning
from triax.random import KeyArray, derive_generator, derive_key
from triax.runs.arrays import decode_leaves, encode_leaves, named_leaves, restore_tree
from triax.runs.files import write_atomically
from triax.training.loading import with_parts
from triax.trees import to_numpy
from triax.types import EnvironmentSpec

OPTIMIZER = triax.OptimizerConfig(learning_rate=1e-3)
"""Of pre-training, and of clones from scratch."""
FINE_TUNING = triax.OptimizerConfig(learning_rate=1e-2, parts=(triax.PartConfig(path="torso"),))
"""Of clones that begin with what was pre-trained: a head is learned, and the rest is frozen."""
SOURCE_BATCH_SIZE = 32
"""Steps an update of pre-training, of each task."""
BATCH_SIZE = 64
"""Steps an update of a clone."""
SHARED = triax.LoadConfig(run=Path("pre-trained"), statistics=False)
"""What a clone takes over: encoder and hidden layers. Its head is new."""

Parameters = ActorParameters
"""Of a policy; where said so, of several, stacked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clone:
    """Which clone of a held-out variant it is."""

    seed: int
    """Of the study."""
    sources: int
    """Number of source tasks that it begins with; 0: it begins from scratch."""
    amount: int
    """Of data, in multiples of the family's least."""


def planned_clones(*, scale: Scale) -> tuple[Clone, ...]:
    """List the clones of one variant.

    :param scale: of the study.
    :return: from scratch with each amount of data, and from each number of source tasks with some.
    """
    kinds = [(0, amount) for amount in scale.amounts]
    kinds += [(sources, amount) for sources in scale.source_counts for amount in scale.fine_tuned_amounts]
    return tuple(
        Clone(seed=seed, sources=sources, amount=amount) for seed in range(scale.seeds) for sources, amount in kinds
    )


def source_order(*, scale: Scale, family: Family, seed: int) -> tuple[float, ...]:
    """Order the source tasks: the first n are those that a seed learns from with n source tasks.

    :param scale: of the study.
    :param family: whose tasks.
    :param seed: of the study.
    :return: all of their values.
    """
    sources = scale.source_tasks(family)
    order = derive_generator(seed=seed, name=("sources", family.name)).permutation(len(sources))
    return tuple(sources[index] for index in order)


def family_spec(family: Family) -> EnvironmentSpec:
    """Read what all variants of a family have in common: their spaces.

    :param family: the family.
    :return: their spec.
    """
    environment = family.variant(family.low).make()
    try:
        return EnvironmentSpec.of_spaces(observation=environment.observation_space, action=environment.action_space)
    finally:
        environment.close()


def single_task_learner(*, spec: EnvironmentSpec, optimizer: triax.OptimizerConfig) -> BC:
    """Build who learns a held-out variant.

    :param spec: of the family.
    :param optimizer: of the policy.
    :return: the learner.
    """
    config = triax.BCConfig(actor=NETWORK, optimizer=optimizer)
    return config.build(observation_spec=spec.observation, action_spec=spec.action)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloneLearners:
    """Who learns the clones of a family. They are built once, so that each is compiled once."""

    from_scratch: BC
    """All of a network."""
    fine_tuning: BC
    """A new head."""

    @classmethod
    def of(cls, family: Family) -> "CloneLearners":
        """Build them.

        :param family: of the clones.
        :return: both.
        """
        spec = family_spec(family)
        return cls(
            from_scratch=single_task_learner(spec=spec, optimizer=OPTIMIZER),
            fine_tuning=single_task_learner(spec=spec, optimizer=FINE_TUNING),
        )


def multi_task_learner(*, spec: EnvironmentSpec, tasks: int) -> Cloning:
    """Build who learns from source tasks.

    :param spec: of the family.
    :param tasks: how many.
    :return: the learner.
    """
    config = triax.MTBCConfig(tasks=tasks, actor=NETWORK, optimizer=OPTIMIZER)
    return config.build(observation_spec=spec.observation, action_spec=spec.action)


def pre_train(*, scale: Scale, family: Family) -> Mapping[int, Parameters]:
    """Learn from each number of source tasks, unless that is done.

    :param scale: of the study.
    :param family: whose tasks.
    :return: by number of tasks the policies of all seeds, [seeds, ...].
    """
    spec = family_spec(family)
    return {tasks: _pre_trained(scale=scale, family=family, spec=spec, tasks=tasks) for tasks in scale.source_counts}


def _pre_trained(*, scale: Scale, family: Family, spec: EnvironmentSpec, tasks: int) -> Parameters:
    learner = multi_task_learner(spec=spec, tasks=tasks)
    seeds = range(scale.seeds)
    path = scale.expert_folder / "pre-trained" / f"{family.name}-{tasks}.safetensors"
    keys = [derive_key(seed=seed, name=("pre-training", family.name, tasks)) for seed in seeds]
    if path.exists():
        template = jax.eval_shape(lambda: policies(learner=learner, states=initial_states(learner=learner, keys=keys)))
        restored: Parameters = restore_tree(arrays=decode_leaves(path), template=template, exact_shapes=True)
        return restored
    rows = [
        recorded_steps(
            scale=scale,
            family=family,
            values=source_order(scale=scale, family=family, seed=seed)[:tasks],
            count=family.source_transitions,
            seed=seed,
        )
        for seed in seeds
    ]
    states = train_clones(
        learner=learner,
        states=initial_states(learner=learner, keys=keys),
        rows=stacked(rows),
        counts=jnp.full(scale.seeds, tasks * family.source_transitions),
        keys=jnp.stack([derive_key(seed=seed, name=("pre-training batches", family.name, tasks)) for seed in seeds]),
        updates=scale.pre_training_updates,
        batch_size=tasks * SOURCE_BATCH_SIZE,
    )
    parameters = to_numpy(policies(learner=learner, states=states))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path=path, content=b"".join(encode_leaves(named_leaves(parameters))))
    print(f"pre-trained {family.name} on {tasks} source tasks, {scale.seeds} seeds", flush=True)
    return parameters


def clone_variant(
    *,
    scale: Scale,
    family: Family,
    value: float,
    learners: CloneLearners,
    pre_trained: Mapping[int, Parameters],
) -> dict[Clone, Parameters]:
    """Train the clones of a held-out variant's expert: all from scratch in one program, all others in a second one.

    :param scale: of the study.
    :param family: of the variant.
    :param value: of the variant.
    :param learners: of the clones.
    :param pre_trained: by number of source tasks the policies of all seeds.
    :return: the policy of each.
    """
    most = max(*scale.amounts, *scale.fine_tuned_amounts) * family.least_transitions
    rows = {
        seed: recorded_steps(scale=scale, family=family, values=(value,), count=most, seed=seed)
        for seed in range(scale.seeds)
    }
    clones = planned_clones(scale=scale)
    found: dict[Clone, Parameters] = {}
    for learner, own in (
        (learners.from_scratch, [clone for clone in clones if clone.sources == 0]),
        (learners.fine_tuning, [clone for clone in clones if clone.sources > 0]),
    ):
        keys = [_clone_key(clone=clone, family=family, value=value, what="network") for clone in own]
        states = initial_states(learner=learner, keys=keys)
        begun = [
            _begun(clone=clone, fresh=member(policies(learner=learner, states=states), index=index), from_=pre_trained)
            for index, clone in enumerate(own)
        ]
        trained = train_clones(
            learner=learner,
            states=learner.with_policy_parameters(state=states, parameters=stacked(begun)),
            rows=stacked([rows[clone.seed] for clone in own]),
            counts=jnp.array([clone.amount * family.least_transitions for clone in own]),
            keys=jnp.stack([_clone_key(clone=clone, family=family, value=value, what="batches") for clone in own]),
            updates=scale.updates,
            batch_size=BATCH_SIZE,
        )
        parameters = policies(learner=learner, states=trained)
        found |= {clone: member(parameters, index=index) for index, clone in enumerate(own)}
    return found


def _clone_key(*, clone: Clone, family: Family, value: float, what: str) -> KeyArray:
    return derive_key(seed=clone.seed, name=("clone", what, family.name, repr(value), clone.sources, clone.amount))


def _begun(*, clone: Clone, fresh: Parameters, from_: Mapping[int, Parameters]) -> Parameters:
    """Put what was pre-trained into a fresh policy, if the clone begins with it."""
    if clone.sources == 0:
        return fresh
    begun: Parameters = with_parts(into=fresh, source=member(from_[clone.sources], index=clone.seed), config=SHARED)
    return begun
