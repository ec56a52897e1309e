"""What the robot said, and what is odd about it: sources, residuals, detectors, events, incidents."""
