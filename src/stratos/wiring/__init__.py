"""The composition root: the one place that picks a cloud, a store and the real clock, and joins the rooms up."""
