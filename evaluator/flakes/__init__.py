"""Fetching for evaluations, and flakes.

* :mod:`evaluator.flakes.fetcher`     the door through which evaluation fetches: what may be fetched, and when
* :mod:`evaluator.flakes.inputs`      the kinds of inputs, and how each becomes a tree
* :mod:`evaluator.flakes.means`       what fetches may do, and with what: store, network, settings, limits
* :mod:`evaluator.flakes.purity`      what a pure evaluation may not see
* :mod:`evaluator.flakes.forges`      GitHub, GitLab and SourceHut: addresses, and which revision a branch is at
* :mod:`evaluator.flakes.registry`    what a name like ``nixpkgs`` means
* :mod:`evaluator.flakes.reference`   flake references as people write them
* :mod:`evaluator.flakes.definition`  what a ``flake.nix`` says of its inputs
* :mod:`evaluator.flakes.lock_file`   ``flake.lock``: read, written, shown
* :mod:`evaluator.flakes.locking`     which inputs to lock to what
* :mod:`evaluator.flakes.calling`     from a flake to its outputs: ``getFlake``
* :mod:`evaluator.flakes.in_place`    a flake as its user edits it, for the editor
* :mod:`evaluator.flakes.declared`    the inputs that a text declares, however broken it is
* :mod:`evaluator.flakes.own_settings` ``nixConfig``: settings that a flake brings along
"""
