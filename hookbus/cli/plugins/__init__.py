"""`hookbus plugins`: who is bound and who answers, one in full, and what operators say about them.

command   the list; remove and approve
mode      overrides of the mode
show      one plugin in full
explain   would it be asked about such an event, and if not why
asked     what that comes to, hook by hook
"""
