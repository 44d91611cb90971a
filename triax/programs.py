"""How what is installed beside Python is called from where the user stands, for the commands that messages name.

A virtual environment that is not active, as after ``make train``, has its programs on no search path.
"""

import shlex
import shutil
import sys
from pathlib import Path


def installed(program: str) -> str | None:
    """Write how a program is called: by its name where that leads to the one beside Python, else by its path.

    :param program: its name, such as ``tensorboard``.
    :return: the first word of a command line; None if the program is not installed.
    """
    path, found = Path(sys.executable).with_name(program), shutil.which(program)
    if not path.is_file():
        return program if found else None
    if found and Path(found).parent.samefile(path.parent):
        return program
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def triax_command(*words: str | Path) -> str:
    """Write a command line of the installed command ``triax``.

    :param words: what follows it.
    :return: the line.
    """
    call = installed("triax") or f"{shlex.quote(sys.executable)} -m triax"
    return " ".join([call, *(shlex.quote(str(word)) for word in words)])
