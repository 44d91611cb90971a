"""Many experiments: a function that yields jobs is run by a pool on this machine, or as a job array on Slurm.

What a file of such experiments needs is :class:`Job` and :func:`main`.
"""

from triax.launch.command_line import main
from triax.launch.errors import FolderInUse, LaunchError, SlurmError, SubmititNotInstalled
from triax.launch.jobs import Job, Sweep

__all__ = ["FolderInUse", "Job", "LaunchError", "SlurmError", "SubmititNotInstalled", "Sweep", "main"]
