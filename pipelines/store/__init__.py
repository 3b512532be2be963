"""What lasts: landing, ledger, records, and the warehouse connection."""
