"""Endpoints of an object that are more than its other half: scale, eviction, binding, logs, tokens and finalize.

Each changes the object in its own way and speaks a kind of its own. ``status`` is not here: it is an ordinary update
that keeps everything else (``registry.metadata``).
"""
