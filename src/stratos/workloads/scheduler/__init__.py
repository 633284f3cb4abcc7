"""The scheduler of the embedded cluster: it gives each waiting pod a node, or says why there is none.

The decisions are those of `stratos.planning.scheduling`. Here is what surrounds them: the queue (`queue`), the cluster
as watches tell it (`mirror`), the writes (`writes`) and the loop (`scheduler`). It needs nothing but API access.
"""
