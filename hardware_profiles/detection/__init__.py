"""What this machine is and can, and whether it is quiet enough to measure on."""
