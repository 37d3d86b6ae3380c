"""The store in a local folder, the default: contents in packs, what is where in SQLite.

* :mod:`store.backends.local.castore`   the castore, and how its files lie
* :mod:`store.backends.local.database`  the folder's database, packs and lock; transactions
* :mod:`store.backends.local.services`  blobs, directories, path infos, realisations
* :mod:`store.backends.local.batch`     what a transaction adds, on its way to the disk
* :mod:`store.backends.local.packs`     files of compressed blocks
* :mod:`store.backends.local.schema`    the tables
* :mod:`store.backends.local.check`     finding and repairing damage
* :mod:`store.backends.local.collect`   garbage
* :mod:`store.backends.local.transfer`  from one local store to another, without unpacking
"""
