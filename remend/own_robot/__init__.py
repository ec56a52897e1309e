"""An own robot from its URDF: what `remend init` reads, derives and writes."""
