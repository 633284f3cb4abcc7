"""The loops that act for Stratos: look, take a snapshot, ask a planner, carry out, write status.

They never call each other and meet only through the API. `pools` decides what each claim shall want; `machines` brings
each claim's machine there; `nodeclasses` looks up what classes mean in the cloud; `inventory` ends machines that no
claim knows. Caches are shared through the manager that runs them.
"""
