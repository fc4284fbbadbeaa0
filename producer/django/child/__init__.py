"""The program that loads an application's own code, in a process of its own: it imports nothing of Replank's."""
