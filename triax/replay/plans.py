"""What is refused when an experiment is built, since no replay of that size could ever give it."""

from triax.types import SequenceUnit, Unit


def require_batch_size(*, batch_size: int, capacity: int) -> None:
    """Refuse batches that are larger than the replay.

    :param batch_size: rows a batch.
    :param capacity: rows that the replay keeps.
    :raises ValueError: with both.
    """
    if not 1 <= batch_size <= capacity:
        raise ValueError(
            f"batch_size is {batch_size:,} and the replay's capacity is {capacity:,}; a batch must hold at least one "
            "row and no more than the replay. Lower batch_size or raise ReplayConfig.capacity."
        )


def require_unit(*, unit: Unit, room: int) -> None:
    """Refuse units that are longer than what is kept of an environment, or make no sense.

    :param unit: what a row of a batch is.
    :param room: environment steps that are kept of each environment.
    :raises ValueError: with field, value and remedy.
    """
    if isinstance(unit, SequenceUnit):
        if not 0 <= unit.burn_in < unit.length:
            raise ValueError(
                f"burn_in is {unit.burn_in} and length is {unit.length}; the length includes the burn-in, so burn_in "
                "must lie in [0, length)."
            )
        if unit.length > room:
            raise ValueError(
                f"length is {unit.length:,}, but each environment keeps {room:,} steps only; lower length or raise "
                "ReplayConfig.capacity."
            )
        return
    if not 0.0 <= unit.discount <= 1.0:
        raise ValueError(f"discount is {unit.discount}; it must lie in [0, 1].")
    if not 1 <= unit.steps <= room:
        raise ValueError(
            f"steps is {unit.steps}; the steps of a transition must lie in [1, {room:,}], the steps that are kept of "
            "each environment. Lower steps or raise ReplayConfig.capacity."
        )
