"""Bongsu: public-safety analytics for several agencies that work together."""
