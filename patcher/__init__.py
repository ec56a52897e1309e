"""From incident to ranked candidates: diagnosis and proposers."""
