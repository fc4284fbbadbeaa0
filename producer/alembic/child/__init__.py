"""Programs that load an application's own code, each in a process of its own: they import nothing of Replank's."""
