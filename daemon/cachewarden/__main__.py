"""``python -m cachewarden``: the command, for places where it is not on the path."""

import sys

from cachewarden.cli.main import entry_point

if __name__ == "__main__":
    sys.exit(entry_point())
