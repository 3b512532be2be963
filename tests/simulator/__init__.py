"""Tests of the simulated agencies."""
