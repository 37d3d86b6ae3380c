"""``tvix-eval repl``: read an expression, evaluate it, print its value, and again.

* :mod:`evaluator.repl.engine`      the thread that evaluates, with limits and interrupts
* :mod:`evaluator.repl.bench`       the session and the variables that were bound
* :mod:`evaluator.repl.commands`    what a line means: an expression, a binding, ``:load`` and the like
* :mod:`evaluator.repl.pretty`      values as coloured text
* :mod:`evaluator.repl.completion`  what may come next
* :mod:`evaluator.repl.terminal`    a person at a terminal: history, colour, progress (prompt_toolkit, rich)
* :mod:`evaluator.repl.piped`       anything else at standard input
"""
