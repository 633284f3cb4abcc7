"""``stratos crds``."""

from __future__ import annotations

import yaml

from stratos.apis.crds import custom_resource_definitions


def run_crds() -> None:
    print(yaml.safe_dump_all(custom_resource_definitions(), sort_keys=False, allow_unicode=True, width=120), end="")
