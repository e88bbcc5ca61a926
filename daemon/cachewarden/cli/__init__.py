"""The command line: the only room that prints, asks and exits.

``main`` parses, dispatches and turns errors into exit codes; ``verbs`` has a file for each verb; ``render`` makes
screens and JSON of values. What a verb needs is imported when it is called: ``--version`` loads next to nothing.
"""
