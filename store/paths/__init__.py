"""Store paths and what they hold, whichever store keeps them.

* :mod:`store.paths.protocol`     what every store can do
* :mod:`store.paths.archives`     contents on their way as archives (NAR), checked as they pass
* :mod:`store.paths.addresses`    whether a path follows from its contents, so that nobody has to be believed
* :mod:`store.paths.closure`      what a path refers to, and copying that between stores
* :mod:`store.paths.derivations`  derivations, read out of any store
"""
