"""Would this pod fit on this node? Decided as kube-scheduler decides, for existing and for hypothetical nodes.

A pod is compiled once into `requirements.PodRequirements`; nodes and placed pods live in `cluster.ClusterState`, which
keeps its counts current as they come and go; `choice.choose_node` asks the filters, ranks what is left, and says why
every other node was rejected. `preemption.plan_preemption` finds room by removing less important pods.
"""
