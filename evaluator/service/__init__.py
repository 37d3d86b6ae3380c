"""The evaluation worker: a process that answers questions about values, and its protocol."""
