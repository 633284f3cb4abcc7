"""``stratos estimate``: what manifests would cost, cloud by cloud, without a cluster, an account or a network."""
