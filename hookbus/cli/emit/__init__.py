"""`hookbus emit`: one event, or all of a file.

command      one event, and the options of both
many         all events of a file, several at a time
line_input   its lines, however many and however long
tally        the summary
"""
