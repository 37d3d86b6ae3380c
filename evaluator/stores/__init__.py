"""Evaluation and stores: what a session asks of one, and how it is answered, written to and built in.

* :mod:`evaluator.stores.access`    the store that a command evaluates with
* :mod:`evaluator.stores.writing`   derivations, texts and sources into it
* :mod:`evaluator.stores.building`  what is missing made in the middle of an evaluation
"""
