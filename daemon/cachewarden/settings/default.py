"""What holds when there is no configuration: the same as the shipped ``cachewarden.yaml``."""

from cachewarden.model.caches import Kind
from cachewarden.model.policies import ActionKind, Amount, Marks, Policy, Settings
from cachewarden.system.ports import Files


def builtin() -> Settings:
    """Removes debris and keeps 10 % of each disk free; caps nothing. A test holds it against the shipped file."""
    return Settings(
        policies=(
            Policy(name="remove-debris", kinds=frozenset({Kind.DEBRIS}), action=ActionKind.PURGE),
            Policy(
                name="keep-disk-free",
                free_space=Marks(start=Amount(percent=10.0), stop=Amount(percent=15.0)),
                action=ActionKind.PURGE,
            ),
        )
    )


def is_absent(files: Files, folder: str) -> bool:
    """Whether there is no folder that could hold a configuration; one that cannot be read is there."""
    try:
        files.listing(folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
