"""Nodes and the pods on them: what is done when a node falls silent, is tainted, or is gone."""
