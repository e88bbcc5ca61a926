"""One cache for many users: the group's rights, for what is there and for what will be made in it."""

from cachewarden.system.folders import open_folder
from cachewarden.system.sharing import share_tree


def share(folder: str, group: str) -> None:
    """Gives ``group`` a whole cache; KeyError for an unknown group, OSError for what cannot be given."""
    with open_folder(folder) as root:
        share_tree(root, group)
