"""Learning side by side with SBX: the same sizes, warm-up and steps, seed by seed, in one plot.

    benchmarks/set_up_peer.sh                                      # once
    python benchmarks/learning.py half_cheetah_sac --seeds 8 --jobs 2
    python benchmarks/learning_peer.py half_cheetah_sac --seeds 8 --jobs 2

Trains the peer's seeds that are missing (each in a process of its own, begun anew if it was cut off), and writes
``results/NAME_peer.jsonl`` (the peer's rows), ``results/NAME_compared.json`` (areas under the evaluation curves, with
bootstrap intervals, and their ratio) and ``results/NAME_compared.png``.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from curves import compare
from seeds import add_seeds, for_each_seed, read_rows, seed_options, seeds_of, write_rows
from settings import commit

from triax.runs import environment_description

ROOT = Path(__file__).resolve().parents[1]
SAC = ["--algorithm", "sac", "--warmup", "1000", "--steps", "50000", "--evaluation-interval", "2500"]
PPO = ["--algorithm", "ppo", "--steps", "200000", "--evaluation-interval", "20000"]
PEERS = {
    "half_cheetah_sac": [*SAC, "--environment", "HalfCheetah-v5"],
    "hopper_sac": [*SAC, "--environment", "Hopper-v5"],
    "half_cheetah_ppo": [*PPO, "--environment", "HalfCheetah-v5"],
}
"""What the peer is told, by the experiment's name; the rest are its defaults, which are those of the experiment."""


def train_peer(*, name: str, seed: int, output: Path, pin: list[str]) -> None:
    """Train one seed of the peer, unless it is done.

    :param name: of the experiment, one of :data:`PEERS`.
    :param seed: the seed.
    :param output: the file of its rows.
    :param pin: the beginning of a command that keeps it to a core; may be empty.
    """
    command = [str(ROOT / ".venv-sbx" / "bin" / "python"), "benchmarks/peer_sbx.py", "learn", *PEERS[name]]
    command += ["--seed", str(seed), "--evaluation-episodes", "10", "--output", str(output)]
    subprocess.run([*pin, *command], cwd=ROOT, check=True)


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Round a row's returns, which would take much room.

    :param row: as the peer's script writes it.
    :return: the row.
    """
    return row | {"returns": [round(value, 3) for value in row["returns"]]} if "returns" in row else row


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PEERS), help="of the experiment")
    add_seeds(parser, default=8)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each if several (default: 1)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "peer", help="folder of the peer's rows")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder of the results")
    arguments = parser.parse_args()

    def train(seed: int, pin: list[str]) -> Path:
        path: Path = arguments.runs / f"{arguments.name}-{seed}.jsonl"
        train_peer(name=arguments.name, seed=seed, output=path, pin=pin)
        return path

    seeds = seeds_of(arguments)
    paths = for_each_seed(seeds=seeds, jobs=arguments.jobs, work=train)
    peers = [rounded(row) for path in paths for row in read_rows(path)]
    write_rows(arguments.output / f"{arguments.name}_peer.jsonl", peers)
    ours = read_rows(arguments.output / f"{arguments.name}.jsonl")
    document = compare(
        name=arguments.name,
        curves={"triax": ours, "sbx": peers},
        output=arguments.output / f"{arguments.name}_compared.png",
    )
    document["command"] = " ".join(["python benchmarks/learning_peer.py", arguments.name, *seed_options(seeds)])
    document["commit"] = commit()
    document["machine"] = environment_description().to_json()
    (arguments.output / f"{arguments.name}_compared.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
