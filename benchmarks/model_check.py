"""How fast a model is checked, against a checker as one writes it down, in one run: literals per second, and memory.

Run it with `make bench`, or `python benchmarks/model_check.py [CLAUSES]` (default 2000000). The formula is a random one
of three literals a clause, 4.2 clauses a variable, with a model hidden in it. CPU time is given where one process does
it all, as it doesn't depend on what else the machine does; time by the clock is what several processes are for.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LITERALS_PER_CLAUSE = 3


def write(formula: Path, stdout: Path, clauses: int) -> None:
    """Write a formula, and what a solver prints that has found the hidden model."""
    dice = random.Random(2023)  # noqa: S311 - of no secret
    variables = int(clauses / 4.2)
    model = [0, *(dice.choice((1, -1)) * variable for variable in range(1, variables + 1))]
    with formula.open("w") as file:
        file.write(f"p cnf {variables} {clauses}\n")
        for _ in range(clauses):
            chosen = [dice.randint(1, variables) for _ in range(LITERALS_PER_CLAUSE)]
            literals = [dice.choice((1, -1)) * variable for variable in chosen]
            place = dice.randrange(LITERALS_PER_CLAUSE)
            literals[place] = model[chosen[place]]
            file.write(" ".join(map(str, literals)) + " 0\n")
    with stdout.open("w") as file:
        file.write("s SATISFIABLE\n")
        for start in range(1, variables + 1, 12):
            file.write(f"v {' '.join(map(str, model[start : start + 12]))}\n")
        file.write("v 0\n")


def plain(formula: Path, stdout: Path) -> bool:
    """Check a model clause by clause and literal by literal."""
    true: set[int] = set()
    with stdout.open() as file:
        for line in file:
            if line.startswith("v"):
                true.update(map(int, line.split()[1:]))
    with formula.open() as file:
        for line in file:
            if line[0] not in "cp" and not any(int(word) in true for word in line.split()[:-1]):
                return False
    return True


def measured(program: str, *arguments: str) -> tuple[float, float, float]:
    """Run a Python program; return its time by the clock and of the processors, in seconds, and its memory, in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *program.split(), *arguments], env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    answer = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - started
    assert os.waitstatus_to_exitcode(status) == 0, program
    assert "right" in answer, answer
    return elapsed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure both in the same run, and print the ratio of their rates."""
    clauses = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    literals = clauses * LITERALS_PER_CLAUSE
    processors = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as directory:
        formula, stdout = Path(directory, "formula.cnf"), Path(directory, "stdout")
        write(formula, stdout, clauses)
        size = (formula.stat().st_size + stdout.stat().st_size) / 1e6
        print(f"a formula of {clauses} clauses, {literals} literals, and its model: {size:.0f} MB")
        rates = {}
        for name, program, last in (
            ("checked", "-S -P -m satcomp_infra.node.check", ("complete", "1")),
            ("checked plainly", __file__, ("plain",)),
        ):
            _, cpu, memory = measured(program, str(formula), str(stdout), *last)
            rates[name] = literals / cpu
            print(f"{name}: {cpu:.2f} s of CPU time, {literals / cpu / 1e6:.1f} million literals/s, {memory:.0f} MiB")
        print(f"ratio: {rates['checked'] / rates['checked plainly']:.1f}")
        for processes in (1, processors):
            elapsed, _, _ = measured(
                "-S -P -m satcomp_infra.node.check", str(formula), str(stdout), "complete", str(processes)
            )
            rate = literals / elapsed / 1e6
            print(f"by the clock, in {processes} processes: {elapsed:.2f} s, {rate:.1f} million literals/s")


if __name__ == "__main__":
    if sys.argv[3:] == ["plain"]:
        print("right" if plain(Path(sys.argv[1]), Path(sys.argv[2])) else "wrong")
    else:
        main()
