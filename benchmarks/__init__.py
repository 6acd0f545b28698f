"""What loopwatch costs (`overhead`) and how right it is; run from the root of the repository."""
