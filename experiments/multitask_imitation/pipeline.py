"""Multi-task imitation from start to plot.

    python experiments/multitask_imitation/pipeline.py small

Experts of all variants, their recordings, pre-training on 1 to 16 source tasks, clones of held-out variants from
scratch and fine-tuned, their returns, and the plot. What is done is not done again, so that a run that was stopped goes
on where it stood. See docs/multitask_imitation.md.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

from evaluations import Row, evaluate_variants
from experts import missing_experts
from families import Family
from recordings import record_experts
from report import write_report
from scales import SCALES, Scale

EXPERTS = Path(__file__).with_name("experts.py")


def train_experts(*, scale: Scale, command: str, options: list[str]) -> None:
    """Train the experts that are missing.

    :param scale: of the study.
    :param command: "run" on this machine, or "slurm", which submits them and returns.
    :param options: of the launch.
    :raises SystemExit: if they are not all there afterwards.
    """
    call = [sys.executable, str(EXPERTS), scale.experts]
    subprocess.run([*call, command, *options], check=True)
    missing = missing_experts(scale=scale)
    if missing:
        sys.exit(f"missing experts: {', '.join(missing)}. When they are done, call this again to go on.")


def study(family: Family, *, scale: Scale) -> list[Row]:
    """Record a family's experts, learn from them, and play with what was learned.

    :param family: the family.
    :param scale: of the study.
    :return: the rows of the result.
    """
    record_experts(scale=scale, family=family)
    return evaluate_variants(scale=scale, family=family)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", choices=SCALES, help="how much is done; see scales.py")
    parser.add_argument("--experts", choices=("run", "slurm"), default="run", help="where experts are trained")
    parser.add_argument("--output", type=Path, help="the file of results; the plot stands beside it")
    arguments, launch_options = parser.parse_known_args()
    scale: Scale = SCALES[arguments.scale]
    output = arguments.output or scale.folder / "results.jsonl"
    begin = time.monotonic()
    train_experts(scale=scale, command=arguments.experts, options=launch_options)
    print(f"experts are there ({time.monotonic() - begin:.0f} s)", flush=True)
    # A process each, as playing takes longest and keeps one core busy.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(max_workers=len(scale.families), mp_context=context) as pool:
        rows = [row for found in pool.map(functools.partial(study, scale=scale), scale.families) for row in found]
    print(f"clones are played ({time.monotonic() - begin:.0f} s)", flush=True)
    command = f"python experiments/multitask_imitation/pipeline.py {scale.name}"
    for row in write_report(scale=scale, rows=rows, command=command, output=output):
        kind = f"{row['sources']:2d} source tasks" if row["sources"] else "from scratch   "
        interval = f"[{row['interval_low']:.2f}, {row['interval_high']:.2f}]"
        print(f"{row['family']:16} {kind} {row['transitions']:5d} steps  {row['mean']:.2f} {interval}")
    print(f"  {output}\n  {output.with_suffix('.png')}")


if __name__ == "__main__":
    main()
