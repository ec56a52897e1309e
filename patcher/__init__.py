"""From incident to ranked candidates: diagnosis, proposers, budget."""
