"""Stratos: every workload gets the right machine, already warm, at the lowest price, on any cluster."""
