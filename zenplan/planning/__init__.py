"""The physics, the search and the money: pure functions from nouns to nouns.

Formulas take numpy arrays with one entry a candidate, so that the function that explains one layout is the
one that searched a hundred thousand.
"""
