"""`hookbus types`: the event types of a bus; add one, and make Python models of them.

command        which commands there are; show types
add            a schema file put in force, or only looked at
generate       models for handlers
view           types and what another schema means, for a terminal
python_models  payload models made of schemas
python_names   Python names and texts made of whatever stands in schemas
"""
