"""Reach an account through its cloud's official SDK, which need not be installed.

The SDKs are optional and none of them is typed as strictly as we are, so each adapter states the few calls it makes as
protocols, and finds the SDK itself by name, when it is wanted.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from stratos.base.errors import NotReady, Unavailable

T = TypeVar("T")


def find_sdk(module: str, extra: str) -> Any:
    """The module. Raises `NotReady` with the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotReady(f"{module} is not installed (pip install 'stratos-compute[{extra}]')") from error


async def ask(what: str, call: Callable[[], T]) -> T:
    """The answer of a blocking call, made beside the loop. Raises `Unavailable` whatever goes wrong in there."""
    try:
        return await asyncio.to_thread(call)
    except Exception as error:  # every SDK has a family of its own, which cannot be named where it is not installed
        raise Unavailable(f"{what} failed: {str(error) or type(error).__name__}") from error
