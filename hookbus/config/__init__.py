"""What is configured from outside: connection, settings tree, files and environment.

Nothing is imported here: the SDK needs ``connection`` alone, and that is standard library only.
"""
