"""Traces of the way of pods that waited for a machine: one trace a pod, one span a stage."""

from stratos.controllers.tracing.tracer import PodTracer

__all__ = ["PodTracer"]
