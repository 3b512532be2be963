"""What tables and records look like."""
