#!/usr/bin/env python3
"""Every task of the project: ``python3 tasks.py NAME``. It needs Python 3.11 and pip, and sets up the rest itself.

The environment lives in ``.venv`` and holds exactly what ``requirements.lock`` names; it is made anew when that
file changes. ``make NAME`` does the same for those who have make.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "installed-lock.sha256"

TASKS: dict[str, Callable[[list[str]], None]] = {}


def task(function: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
    TASKS[function.__name__.replace("_", "-")] = function
    return function


def run(*command: str | Path, **extra_environment: str) -> None:
    """Run a command of the environment, in the project's folder; its failure is ours."""
    print("$", *command, file=sys.stderr, flush=True)
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **extra_environment}
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False)
    if result.returncode:
        sys.exit(result.returncode)


def set_up() -> None:
    """Make the environment, unless it is already the one the lock file describes."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    if VENV.exists() and not STAMP.exists():
        sys.exit(f"{VENV} is not of our making; move it away, and run this again")
    print("setting up .venv …", file=sys.stderr, flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    pip: list[str | Path]
    if subprocess.run([sys.executable, "-m", "venv", VENV], check=False, capture_output=True).returncode == 0:
        pip = [BIN / "python", "-m", "pip"]
    else:  # Debian's Python without its venv package cannot put pip inside: use the one outside
        shutil.rmtree(VENV, ignore_errors=True)
        run(sys.executable, "-m", "venv", "--without-pip", VENV)
        pip = [sys.executable, "-m", "pip", "--python", BIN / "python"]
    STAMP.write_text("unfinished")
    run(*pip, "install", "--quiet", "--require-hashes", "--requirement", LOCK)
    run(*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    STAMP.write_text(wanted)


@task
def setup(_: list[str]) -> None:
    """Make or renew the environment."""


@task
def stratos(arguments: list[str]) -> None:
    """Run the command line: tasks.py stratos up, tasks.py stratos demo ci …"""
    run(BIN / "stratos", *arguments)


@task
def check(_: list[str]) -> None:
    """Formatting, lint, types and the floors of the house."""
    run(BIN / "ruff", "format", "--check")
    run(BIN / "ruff", "check")
    run(BIN / "mypy")
    run(BIN / "lint-imports", "--no-logo")


@task
def test(arguments: list[str]) -> None:
    """All checks, then all tests and examples. Arguments go to pytest."""
    check([])
    run(BIN / "pytest", *arguments)


@task
def e2e_aws(arguments: list[str]) -> None:
    """A pool's whole life on AWS, which moto plays on loopback: shown stage by stage."""
    run(BIN / "pytest", "-s", "tests/e2e/test_e2e_aws.py", *arguments)


@task
def kill_matrix(arguments: list[str]) -> None:
    """The controllers, killed at every call they make to AWS and to the API. Arguments choose calls."""
    run(BIN / "python", ROOT / "tests" / "e2e" / "kill_matrix.py", *arguments, PYTHONPATH=str(ROOT / "tests"))


@task
def bench(arguments: list[str]) -> None:
    """The benchmarks, each printing one JSON document. Arguments choose some by name."""
    for script in sorted((ROOT / "benchmarks").glob("*.py")):
        if not arguments or script.stem in arguments:
            run(BIN / "python", script)


@task
def docs(_: list[str]) -> None:
    """Write what is generated: parts of docs/ (reference, drawing of the imports, picture), and the Helm chart."""
    run(BIN / "python", ROOT / "scripts" / "make_docs.py")
    run(BIN / "python", ROOT / "scripts" / "make_chart.py")
    run(BIN / "python", ROOT / "scripts" / "make_picture.py")


@task
def scenarios_accept(_: list[str]) -> None:
    """Rewrite the recorded outputs of tests/scenarios; read the difference before you commit it."""
    run(BIN / "pytest", "tests/scenarios", STRATOS_ACCEPT="1")


@task
def lock(_: list[str]) -> None:
    """Renew requirements.lock from pyproject.toml (needs uv)."""
    run(
        *("uv", "pip", "compile", "pyproject.toml", "--group", "dev", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-emit-index-url", "--quiet", "--output-file", LOCK),
        UV_CUSTOM_COMPILE_COMMAND="python3 tasks.py lock",
    )


def main() -> None:
    name, *arguments = sys.argv[1:] or ["help"]
    if name not in TASKS:
        width = max(map(len, TASKS))
        print("usage: python3 tasks.py TASK [ARGUMENT…]\n")
        for known, function in TASKS.items():
            print(f"  {known:<{width}}  {function.__doc__}")
        sys.exit(0 if name in ("help", "-h", "--help") else 2)
    if name != "lock":
        set_up()
    TASKS[name](arguments)


if __name__ == "__main__":
    main()
