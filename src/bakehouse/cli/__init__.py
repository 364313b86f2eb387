"""The command line: arguments, environment, rendering, exit codes. A command a file."""
