"""What can go wrong with a launch; each message is written for the person at the terminal."""


class LaunchError(ValueError):
    """The base of all errors of a launch."""


class FolderInUse(LaunchError):
    """Another process launches into the same folder."""


class SlurmError(LaunchError):
    """Slurm is not there, does not answer, or refuses a submission."""


class SubmititNotInstalled(LaunchError):
    """A job array is wanted, and submitit is not installed."""
