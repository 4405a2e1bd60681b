"""Mutation testing of the checkers: wrong variants of every solution, what refuses them, and what does not."""
