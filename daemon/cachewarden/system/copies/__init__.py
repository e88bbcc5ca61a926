"""The parts of the copy of a tree, which ``system.copying`` puts together."""
