"""`hookbus top`: what the bus does now, and what is wrong.

command   options, and one picture after another
figures   rates and times between two samples
view      the picture
"""
