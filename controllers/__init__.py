"""Control laws and everything that runs on the robot: law language, envelope, runtime, swap, signatures."""
