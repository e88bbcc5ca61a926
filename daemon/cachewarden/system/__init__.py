"""The only code that touches the machine: files below open folders, processes, users, clock, journal."""
