"""What was submitted to Slurm: one file a submission, which says under which number Slurm has which job."""

from collections.abc import Mapping
from typing import Any

from triax.launch.errors import LaunchError
from triax.launch.folder import LaunchFolder
from triax.runs.files import encode_json, read_json_object, write_atomically


def read_submissions(folder: LaunchFolder) -> dict[str, str]:
    """Read under which numbers jobs were submitted.

    :param folder: of the launch.
    :return: by name of the job the number of its last submission, ``123`` or ``123_4``.
    :raises LaunchError: if a file cannot be read.
    """
    numbers: dict[str, str] = {}
    submissions = [path for path in folder.slurm_path.glob("*.json") if path.stem.isdigit()]
    for path in sorted(submissions, key=lambda path: int(path.stem)):
        try:
            document: Any = read_json_object(path)
            numbers |= document["jobs"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LaunchError(f"{path} does not say what was submitted to Slurm: {error}.") from error
    return numbers


def write_submission(*, folder: LaunchFolder, numbers: Mapping[str, str]) -> None:
    """Write down what was submitted.

    :param folder: of the launch.
    :param numbers: by name of the job its number; all are of one array.
    :raises OSError: if it cannot be written.
    """
    array = next(iter(numbers.values())).partition("_")[0]
    path = folder.slurm_path / f"{array}.json"
    write_atomically(path=path, content=encode_json({"jobs": dict(numbers)}, path=path.name))
