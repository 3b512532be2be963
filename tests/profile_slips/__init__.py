"""Random typing slips in profiles, one each: refused with the field and the line."""
