"""`hookbus plugins backtest`: ask a candidate about recorded events, and compare it.

command   the command: options, what keeps it from running, exit code
trial     which hooks are compared with which
replay    recorded inputs, emitted again as dry runs
heard     what the bus records about those
compare   two records of the same input
tally     what became of all of them
view      the same for people
"""
