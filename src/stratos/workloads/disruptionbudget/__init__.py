"""PodDisruptionBudgets: keep count of how many pods may be evicted."""
