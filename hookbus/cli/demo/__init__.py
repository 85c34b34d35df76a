"""`hookbus demo`: a conversation that the bus and its plugins are shown with.

command        plays it
conversation   its lines
stage          where it is shown
tally          what came of it
"""
