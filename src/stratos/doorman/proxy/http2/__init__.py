"""HTTP/2 by prior knowledge, on both sides: each stream goes its own way, and gRPC goes through untouched."""
