"""Grading notebooks that nobody trusts: the learner's code in a sandboxed worker, the tests here."""
