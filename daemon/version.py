"""The version, as a plain string: asking the installed metadata for it costs 50 ms at every start."""

__version__ = "0.1.0"
