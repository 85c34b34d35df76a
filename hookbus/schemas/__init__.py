"""JSON Schemas of event types: compile, check, find secret fields, compare. Pure.

compiled        a schema as something that validates; the only user of jsonschema-rs
places          where schemas stand in a schema, and what a reference refers to
secret_fields   where `x-hookbus-secret` leads to in the data
problems        all that is wrong with a schema, for a person
samples         data that a schema most plainly asks for
facts           what a schema says about a value and its parts, put together
alone           what a schema says of a value on its own: does it follow from facts?
following       the same for a whole schema, with all that stands in it
trying          values that may have fitted and fit no more
compare         whether every event that fitted still fits, with proofs where one does not
"""
