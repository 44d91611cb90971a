"""What can go wrong with the files of a run.

Every message is written for the person at the terminal: it names the file, says what is wrong with it and, where there
is something to be done, what. A command line may show it without a traceback.
"""


class RunError(Exception):
    """The base of all errors of a run's files."""


class RunDirectoryError(RunError):
    """A directory cannot be used as a run directory in the way that was asked for."""


class LogError(RunError):
    """A log holds a broken row, or fewer rows than a checkpoint says."""


class TensorBoardFailed(LogError):
    """A row stands in its log, and TensorBoard's events could not be written."""


class CheckpointError(RunError):
    """The base of the errors of checkpoints."""


class CheckpointFailed(CheckpointError):
    """A checkpoint could not be written; those before it are untouched."""


class CheckpointDamaged(CheckpointError):
    """A file of a checkpoint is missing or does not hold the bytes that were written."""


class CheckpointMismatch(CheckpointError):
    """A checkpoint is sound, and holds something else than what it is to be loaded into."""


class NoCheckpoint(CheckpointError):
    """The checkpoint that was asked for does not exist, or does not hold what was asked for."""


class VideoError(RunError):
    """Frames that are no video, or a video that could not be encoded."""
