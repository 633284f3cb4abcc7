"""The options of ``stratos controller`` from a file, a mounted ConfigMap for instance."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
import yaml

from stratos.base.errors import Invalid


def configured(ctx: typer.Context, file: Path | None) -> Path | None:
    """Make what the file says the defaults of the other options."""
    if file is not None:
        ctx.default_map = read_config(file, [option.name for option in ctx.command.params if option.name])
    return file


def read_config(file: Path, options: Iterable[str]) -> dict[str, Any]:
    """What ``file`` says, by option."""
    try:
        body = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"cannot read the configuration {file}: {error}") from error
    if not isinstance(body, dict | None):
        raise Invalid(f"{file} is no configuration", hint="write a map of options, such as clusterName: production")
    known = {_plain(option): option for option in options if option != "config"}
    values = {}
    for written, value in (body or {}).items():
        option = known.get(_plain(str(written)))
        if option is None:
            hint = "they are named as stratos controller --help shows them: clusterName for --cluster-name"
            raise Invalid(f"{file}: there is no option {written!r}", hint=hint)
        values[option] = value
    return values


def _plain(name: str) -> str:
    """``clusterGPULimit``, ``cluster-gpu-limit`` and ``cluster_gpu_limit`` are one name."""
    return name.replace("_", "").replace("-", "").lower()
