"""What each command does, a module a noun: its words and options, what it asks, what it prints.

A command returns its exit code. Results go to stdout, everything said about them to stderr.
"""
