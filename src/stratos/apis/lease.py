"""Leases: who leads, and which node still lives."""

from __future__ import annotations

from datetime import datetime

from stratos.apis.meta import Kind, KubeObject, Struct


class LeaseSpec(Struct):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int | None = None


class Lease(KubeObject):
    spec: LeaseSpec = LeaseSpec()


LEASE = Kind(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease", namespaced=True, type=Lease)
