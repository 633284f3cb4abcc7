"""The one door to a Kubernetes API: transports, a typed client, watch caches, the controller loop and leases.

Everything here works the same against a real cluster over HTTP and against the embedded server in process.
"""
