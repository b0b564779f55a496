"""Regression evals: gold questions -> answers -> scores -> a verdict that can be trusted.

    gold -lint-> questions -run-> records -score-> scores -compare-> verdict -report-> people and CI

In a checkout this package is `evals`, in a wheel `rag_evals`: its modules import each other relatively. The shipped
gold set, about the abstracts in `data/`, stays in the checkout; a gold set of one's own is judged anywhere
(`place`). Uses the public names of `rag` and its records, never a stage of it.
"""
