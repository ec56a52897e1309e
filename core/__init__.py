"""Ground floor of Remend: records, status, ids, units, clock, frames and the rigid-body model."""
