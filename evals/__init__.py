"""Regression evals: gold questions -> answers -> scores -> a verdict that can be trusted.

    gold -lint-> questions -run-> records -score-> scores -compare-> verdict -report-> people and CI

Needs a checkout: the gold set is about the abstracts that ship in `data/`. Uses the public names of
`rag` and its records, never a stage of it.
"""
