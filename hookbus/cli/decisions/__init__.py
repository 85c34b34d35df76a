"""`hookbus decisions`: what was decided, listed, followed and explained.

command        the two commands' options
rows           decisions as lines of a list
explain        finds one decision, and all that belongs to it
explain_view   shows it
time_line      when each plugin was asked, drawn
record_words   a plugin's record in words
generations    which generation it used, and what has changed since
next_steps     what to do about it
"""
