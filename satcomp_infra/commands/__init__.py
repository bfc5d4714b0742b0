"""The commands: each module has a parser and carries out what was typed, by means of the package's other modules."""
