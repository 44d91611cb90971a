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

OBSERVED = FIRST | LAST
"""The bits that are known of an observation without what came after it."""


def row_flags(trajectory: Trajectory) -> Array:
    """Pack the flags of all rows.

    :param trajectory: T rows of B environments.
    :return: bytes, [T + 1, B].
    """
    first, last = np.asarray(trajectory.is_first), np.asarray(trajectory.is_last)
    flags: Array = first * np.uint8(FIRST) + last * np.uint8(LAST)
    ended = trajectory.terminated * np.uint8(TERMINATED) + trajectory.truncated * np.uint8(TRUNCATED)
    flags[:-1] += ~last[:-1] * (ended + np.uint8(ACTED))
    return flags
