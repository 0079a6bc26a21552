"""Games of a part of PuzzleScript (puzzlescript.net) as grid specs, and a collection of own ones."""
