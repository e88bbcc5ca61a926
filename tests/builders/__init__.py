"""Builders of real things to test on: pip caches, conda caches and environments, small disks."""
