"""One module per suite; each imports its suite only when an environment is made."""
