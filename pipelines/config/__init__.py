"""Configuration: settings, profiles, and the base class of expected errors."""
