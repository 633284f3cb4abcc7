"""Which machines for these pods, at what cost? One answer for provisioning, consolidation, estimates and the fleet.

`problem` holds the question and the answer; `pack.pack` finds it: a fast packing that keeps every rule of
`planning.scheduling`, improved by an integer program over patterns, with the bound that says how good it is.
"""
