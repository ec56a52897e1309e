"""Evidence: PyBullet plants, faults, tasks, twin, rollouts, validation and gates."""
