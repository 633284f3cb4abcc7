"""The controllers that only the embedded cluster needs: a real cluster brings its own."""
