"""The persistent evaluation cache: answers of whole requests, used again while all that they read is unchanged.

* :mod:`evaluator.io.observation`     how what was read is written down: kinds, digests, the codec
* :mod:`evaluator.cache.unchanged`    whether the world still is as it was read
* :mod:`evaluator.cache.request`      what a request is: arguments, folder, surroundings, this very program
* :mod:`evaluator.cache.database`     the file that holds the answers (SQLite), bounded, for many processes
* :mod:`evaluator.cache.answers`      the above put together, for the command line

An answer that is found must come faster than the evaluator can be loaded: nothing here imports the evaluator, and
of the standard library only what is needed (``typing`` alone takes as long as asking 220 files whether they changed).
"""
