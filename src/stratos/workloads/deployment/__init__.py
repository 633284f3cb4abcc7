"""Deployments: exchange one ReplicaSet for another without dropping below what was promised."""
