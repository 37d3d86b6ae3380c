"""Text in, tree out: lexer, parser, tree, positions, problems.

Knows nothing of values or of the rest of the project.
"""
