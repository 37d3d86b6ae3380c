"""``tvix-eval``: what its flags mean, and what it prints.

* :mod:`evaluator.command.flags`        the command line, read as nix-instantiate reads it
* :mod:`evaluator.command.settings`     Nix's settings: ``--option NAME VALUE``, ``--NAME``
* :mod:`evaluator.command.asking`       a session and the expressions that a command line asks for
* :mod:`evaluator.command.answers`      the texts that are printed
* :mod:`evaluator.command.derivations`  ``--instantiate``: the derivations in a value
* :mod:`evaluator.command.running`      the evaluation's thread, its limits, exit codes

Starting takes longer than many an evaluation, so every module imports late what not every command needs.
"""
