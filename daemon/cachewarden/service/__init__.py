"""Bringing the stages together: the cycle, the workers that do its parts as each owner, and the daemon."""
