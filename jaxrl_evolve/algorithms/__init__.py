"""What `train` can be asked for by name."""
