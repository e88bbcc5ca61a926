"""The JSON schema of a policy file, for editors: ``config/policy.schema.json`` is this, written out.

Draft 7, for that is what the YAML language server implements whole. It completes keys and words and shows their
meaning; what holds between values (``until`` beyond ``below``, kinds of an ecosystem) only ``check`` can tell.
"""

from cachewarden.settings import keys
from cachewarden.settings.shapes import Json


def schema() -> Json:
    """A schema that accepts every file the loader accepts, save YAML 1.1's spellings of booleans."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "cachewarden policies",
        "description": "What cachewarden keeps and removes. See cachewarden.yaml and the policy reference.",
        **keys.MAIN.schema(),
    }
