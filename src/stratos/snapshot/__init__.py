"""Frozen views that planners read: what we believed at one moment, and when that was."""
