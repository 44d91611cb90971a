"""One byte a row that says what kind of row it is.

``ACTED`` marks the rows that are experience. It is missing in final rows, in provisional rows and in slots that were
never written, and so bounds everything that may be combined: rows are consecutive in time as long as it holds, and the
write head cannot be crossed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from triax.types import Trajectory

Array = npt.NDArray[Any]

TERMINATED, TRUNCATED, FIRST, LAST, ACTED = 1, 2, 4, 8, 16
"""The bits."""


def observation_flags(trajectory: Trajectory, *, row: int | slice) -> Array:
    """Pack what is known of observations: whether they are an episode's first or final one.

    :param trajectory: T rows of B environments.
    :param row: which rows.
    :return: bytes, [B] or [rows, B].
    """
    first, last = np.asarray(trajectory.is_first)[row], np.asarray(trajectory.is_last)[row]
    flags: Array = first * np.uint8(FIRST) + last * np.uint8(LAST)
    return flags


def row_flags(trajectory: Trajectory) -> Array:
    """Pack the flags of all rows.

    :param trajectory: T rows of B environments.
    :return: bytes, [T + 1, B].
    """
    flags = observation_flags(trajectory, row=slice(None))
    acted = (flags[:-1] & LAST) == 0
    flags[:-1] |= acted * np.uint8(ACTED)
    flags[:-1] |= (acted & trajectory.terminated) * np.uint8(TERMINATED)
    flags[:-1] |= (acted & trajectory.truncated) * np.uint8(TRUNCATED)
    return flags
