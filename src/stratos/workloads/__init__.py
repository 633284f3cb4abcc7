"""The controllers that only the embedded cluster needs: a real cluster brings its own.

Each is a plan (pure: what is there in, what to do out) and a thin loop that looks, asks and carries out. They are
started together, by `workloads.run`.
"""
