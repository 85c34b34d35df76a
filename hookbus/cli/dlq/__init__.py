"""`hookbus dlq`: what observers could not handle."""
