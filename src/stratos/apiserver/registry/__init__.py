"""What the API knows about objects: kinds, their rules, and the verbs that act on them."""
