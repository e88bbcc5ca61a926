"""cachewarden keeps pip and conda caches from filling the disk."""

__version__ = "0.1.0"
