"""Near-optimal mixes of machines, with a bound that proves it: column generation over what one machine may hold.

A *pattern* is a kind of machine and how many pods of each class it holds. `solve.solve_patterns` is the door; it takes
arrays (`stratos.planning.packing.demand`) and knows nothing of Kubernetes.
"""
