"""The policy language: YAML in, ``Settings`` out, or every problem at once. ``loader`` is the way in.

``keys`` is the one table of what may be written; it drives parsing (``shapes``), the JSON schema and the reference.
"""
