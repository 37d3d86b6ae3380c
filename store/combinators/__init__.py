"""Stores made of stores: a cache in front of another, the first of several that has it, signing what is written."""
