"""Worlds of Craftax-Classic as data: every number of its generator, and how an episode starts."""
