"""`hookbus settings`: what is in force, since when and by whom; check a file, apply it, go back.

command   show, check, apply, rollback
difference  what other settings change, as a table
file      settings as a TOML file, read and written
history   who changed what, and when
"""
