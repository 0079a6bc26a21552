"""What is made of trajectories: returns, normalisation, minibatches."""
