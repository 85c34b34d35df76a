"""`hookbus test`: what one plugin file answers, without a broker.

command   the options, the exit code
load      the plugin in a file, without serving it
trial     the plugin on a bus in memory, and one event
frames    tracebacks of its author's frames
view      what came of it
"""
