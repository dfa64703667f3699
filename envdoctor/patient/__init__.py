"""The observer. It runs inside the Python under examination, here or on a host that has nothing else of ours.

Standard library only, Python 3.6 syntax, no judgement. `__main__` runs the sections of `sections`, each in a process
of its own where the platform can, and writes one JSON record per line. The package is imported as
`envdoctor_patient` there, so modules import each other relatively.
"""
