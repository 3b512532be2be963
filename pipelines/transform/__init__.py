"""Transform: the SQL models and the joint incidents."""
