"""Methods that look for the Minimax Winner of a game, behind one interface."""
