"""What papers measure, one protocol a module, on the files that they are published as. The way in is `run.py`.

A protocol `read`s its files, and counts what in them can't be used, before a model is opened; then it is `measure`d:
`task.py` says what goes in and out. `models.py` is what of FROMAGe and FROZEN a protocol asks, `page.py` what is shown.
"""
