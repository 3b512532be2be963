"""The risk models, all with one signature."""
