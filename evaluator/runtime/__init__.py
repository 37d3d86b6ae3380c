"""Values, thunks, attribute sets, positions, errors, limits: what evaluation runs on."""
