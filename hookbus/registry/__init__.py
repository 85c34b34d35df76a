"""The registry: who is asked about what, and how; operators change it."""
