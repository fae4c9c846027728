"""Anything that can come from outside, made wrong in any way: it is read, or refused in a sentence.

``python -m tests.fuzz`` runs any number of cases; the tests run some of each kind, and every one that ever
failed. A case is its kind and a number.
"""
