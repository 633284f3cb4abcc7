"""The HTTP around the doorman: one port for HTTP/1.1, WebSockets, and HTTP/2 by prior knowledge with gRPC on it."""
