"""Django: an application's history of migrations follows a plan."""
