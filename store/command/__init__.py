"""``tvix-store``: the store on the command line."""
