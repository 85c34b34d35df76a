"""`hookbus up`: the whole bus on this machine, kept running for development.

command        options, and what is said
localbus       all processes of it
process        one of them
plugin_files   the plugins that come along, and those of a folder
security       credentials for all of them
"""
