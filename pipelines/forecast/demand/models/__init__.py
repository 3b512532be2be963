"""The demand models, all with one signature."""
