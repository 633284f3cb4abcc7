"""Namespaces on their way out: everything in them goes first."""
