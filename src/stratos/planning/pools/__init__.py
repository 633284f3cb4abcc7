"""Warm pools: which machine to wake, prepare, park or replace, and what to do next with each. Pure decisions.

`pool.plan_pool` decides for a pool what its claims shall wish; `machine.plan_machine` decides for one claim which steps
bring its machine there. `matching` says which pods a pool serves, `sizing` on how many machines they fit, `lifecycle`
which states may follow which, `drain` which pods have to leave a node and how.
"""
