"""The nouns everything else is built from: quantities, durations, selectors, identities, the clock and the errors."""
