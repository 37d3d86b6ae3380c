"""A castore over gRPC: :mod:`store.remote.server` offers one, :mod:`store.remote.client` uses one.

Specification: ``store/protos/*.proto``, wire-compatible with Tvix's. The messages are encoded by
:mod:`store.remote.messages`; no generated code is needed. grpcio is imported when a server or a client is made.
"""
