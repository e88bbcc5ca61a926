"""Replays what was installed against policies: what a choice of what to remove costs, in seconds and bytes."""
