"""The two ways a patch can be refused."""

from __future__ import annotations

from stratos.base.errors import Invalid


class MalformedPatch(Invalid):
    """The patch itself makes no sense, whatever it is held against: a bad request."""


class PatchFailed(Invalid):
    """A sensible patch that does not fit this document: a test that fails, a path that is not there."""
