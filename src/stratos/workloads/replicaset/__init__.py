"""ReplicaSets: keep as many pods of a template as were asked for."""
