"""Building elsewhere, over gRPC: :mod:`builder.remote.server` builds for others, :mod:`builder.remote.client` has it
done.

Specification: ``builder/protos/build.proto``. Contents go through the castore services that the same server offers.
grpcio is imported when a server or a client is made.
"""
