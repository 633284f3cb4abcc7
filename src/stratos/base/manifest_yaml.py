"""YAML as Kubernetes reads it: JSON's types and no others, so a date stays text."""

from __future__ import annotations

from collections.abc import Iterator

import yaml


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader in C, without the one implicit type that JSON does not have."""

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def load_yaml(text: str | bytes) -> object:
    """The one document in ``text``. Raises `yaml.YAMLError`, with the place where it is known."""
    return yaml.load(text, Loader=_Loader)


def load_all_yaml(text: str | bytes) -> Iterator[object]:
    """Each document in ``text``."""
    return yaml.load_all(text, Loader=_Loader)
