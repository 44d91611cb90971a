"""How far a run had come when it ended, however it ended."""

import mmap
import struct
from pathlib import Path

_NUMBER = struct.Struct("<q")


class ReachedSteps:
    """The environment steps that a run has taken in, in a file that is mapped into memory.

    Writing the number is as cheap as setting a variable, and it is in the file when the process is killed. After a
    crash of the whole machine it may be an older one.

    :param path: of the file, which is made if it is not there.
    :raises OSError: if it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        with path.open("ab") as file:
            # Written and not only made long: a full disk is then told of here, and not by a signal later.
            file.write(bytes(max(0, _NUMBER.size - file.tell())))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBER.size)

    @property
    def steps(self) -> int:
        """How many there were, by this process or by the one before it."""
        (steps,) = _NUMBER.unpack_from(self._map)
        return int(steps)

    @steps.setter
    def steps(self, steps: int) -> None:
        _NUMBER.pack_into(self._map, 0, steps)

    def close(self) -> None:
        """Close the file. Closing twice does nothing more."""
        self._map.close()
