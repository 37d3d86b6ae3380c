"""Where values come from: origins of values, how a file is reached, what an expression of it evaluates to."""
