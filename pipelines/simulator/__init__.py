"""Simulated Korean agencies: incidents with known truth, served over real HTTP and file drops in the real formats."""
