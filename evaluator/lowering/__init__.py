"""From syntax tree to executable code: who binds what, how sets come together, what runs."""
