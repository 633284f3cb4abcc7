"""The doorman: holds requests for services that sleep, wakes them, and lets the requests through."""
