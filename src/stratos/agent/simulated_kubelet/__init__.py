"""The software of a simulated host: a kubelet, a container runtime and a network plugin that do what real ones report.

Nothing is really executed. Pods take the time their commands and annotations say, images the time their size says, and
all of it is told to the API server in the words, and about in the order, of a real node.
"""
