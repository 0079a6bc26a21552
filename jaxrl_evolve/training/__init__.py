"""How a run goes: the compiled chunk, the host loop around it, and what a run leaves on disk."""
