demo spot
