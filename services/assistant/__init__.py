"""An assistant without a model: a service that asks the bus before each step it takes."""
