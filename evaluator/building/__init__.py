"""``tvix-build``: evaluates, has what comes out built, and leaves links to it.

* :mod:`evaluator.building.cli`       the command and its exit codes
* :mod:`evaluator.building.flags`     the command line, read as nix-build reads it
* :mod:`evaluator.building.wishes`    from a command line to derivations, in the store
* :mod:`evaluator.building.reports`   what is said about it: plan, failures
* :mod:`evaluator.building.links`     result links, and the roots that keep what they point at
* :mod:`evaluator.building.also`      ``tvix-build log``, ``gc-roots``, ``doctor``, ``serve``

What is shown meanwhile is :mod:`builder.views`' to say.

Starting takes longer than many a build, so every module imports late what not every command needs.
"""
