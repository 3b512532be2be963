"""The command line `bongsu`: arguments, progress and printing; no logic."""
