"""``tvix-eval``: what its flags mean, and what it prints.

* :mod:`evaluator.command.flags`        the command line, read as nix-instantiate reads it
* :mod:`evaluator.command.asking`       a session and the expressions that a command line asks for
* :mod:`evaluator.command.answers`      the texts that are printed
* :mod:`evaluator.command.derivations`  ``--instantiate``: the derivations in a value
* :mod:`evaluator.command.origins`      ``--origin``: where a value came from
* :mod:`evaluator.command.outputs`      outputs of flakes that a command line names
* :mod:`evaluator.command.flakes`       ``tvix-eval flake …``
* :mod:`evaluator.command.registries`   ``tvix-eval registry …``
* :mod:`evaluator.command.running`      the evaluation's thread, its limits, exit codes

Starting takes longer than many an evaluation, so every module imports late what not every command needs.
"""
