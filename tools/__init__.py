"""What the project's developers run: nothing here is needed to use the commands."""
