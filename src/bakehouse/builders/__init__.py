"""From resolved targets and command-line options to build requests, and their run on an engine."""
