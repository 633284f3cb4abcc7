"""How fast and how cheap pods are packed: the sets of `stratos bench packing`, each three times.

    python benchmarks/packing.py

Prints JSON. Seconds are medians and hold what each pod asks for (compiled from its object) as well as the packing.
"""

from __future__ import annotations

from stratos.cli.bench.packing import run_packing


def main() -> None:
    run_packing(None, None, None, 3, 42, files=(None, None), zones=(), pricing="on-demand", print_json=True)


if __name__ == "__main__":
    main()
