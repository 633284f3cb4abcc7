demo scale-to-zero
