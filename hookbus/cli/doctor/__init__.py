"""`hookbus doctor`: looks at everything it can see from here, and says what to do next.

finding     what a check comes to
machine     this computer: environment, settings file, programs, ports, data directory
greeting    what the broker says before anybody logs in
view        all that one look at the bus finds
roles       registries and dispatchers
plugins     the plugins, their breakers, and what operators overrode
storage     JetStream, streams, sizes, and the broker's clock
command     puts them together
"""
