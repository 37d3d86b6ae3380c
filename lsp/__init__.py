"""The language server: the wire (:mod:`lsp.server`), and the features behind it (:mod:`lsp.ide`)."""
