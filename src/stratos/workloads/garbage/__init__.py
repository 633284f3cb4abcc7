"""Garbage collection: what nobody owns any more goes, in the order its owner's deletion asked for."""
