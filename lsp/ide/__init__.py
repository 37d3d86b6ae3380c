"""The features: one module a question, pure functions of a snapshot and an offset.

Offsets are absolute code points. Nothing here knows the protocol of the wire, its positions or its types.
"""
