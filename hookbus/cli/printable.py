"""Foreign text made safe for a terminal; see :mod:`hookbus.printable`."""

from hookbus.printable import ELLIPSIS as ELLIPSIS
from hookbus.printable import clean as clean
from hookbus.printable import compact as compact
from hookbus.printable import shorten as shorten
from hookbus.printable import shorten_middle as shorten_middle
