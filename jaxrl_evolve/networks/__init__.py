"""Networks of policies and values, and their parts."""
