"""A decoder-only transformer as a network: a policy over tokens with a cache of keys and values for its memory."""
