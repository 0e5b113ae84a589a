"""Data sets of research as feeds, from their official files. Which there are says `named.py`."""
