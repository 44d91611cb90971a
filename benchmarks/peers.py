"""A peer in a process of its own, and in an environment of its own, which measures when it is asked to."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class Peer:
    """The process. It reads orders, a line each, and answers each with a line of JSON.

    :param environment: the folder of its virtual environment, in the repository.
    :param arguments: the script, and what it is told.
    :ivar settings: what it says of itself first.
    """

    def __init__(self, *, environment: str, arguments: list[str]) -> None:
        self._name = arguments[0]
        self._process = subprocess.Popen(
            [str(ROOT / environment / "bin" / "python"), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.settings = self._read()

    def measure(self, amount: int, *, what: str = "measure") -> float:
        """Let it work.

        :param amount: of what it measures.
        :param what: the order.
        :return: the rate, a second.
        """
        return float(self.ask(f"{what} {amount}")["rate"])

    def ask(self, order: str) -> dict[str, Any]:
        """Let it do something.

        :param order: a line.
        :return: its answer.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended; is its environment set up (benchmarks/README.md)?")
        answer: dict[str, Any] = json.loads(line)
        if answer["kind"] == "error":
            raise RuntimeError(f"{self._name} says: {answer}")
        return answer
