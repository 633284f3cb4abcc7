"""The registry over HTTP: paths, headers, content types and streams. Decides nothing about objects."""
