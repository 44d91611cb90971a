"""What the processor has, as far as the operating system says."""

import functools
import os
from pathlib import Path


def usable_cores() -> int:
    """Count the cores that this process may run on; how much of their time a container may use does not count.

    :return: at least 1.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def has_avx512() -> bool:
    """Ask Linux whether the processor has AVX-512.

    :return: whether it has; False where there is no Linux to ask.
    """
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
