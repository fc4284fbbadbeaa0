"""Django's history follows a plan: judged by Django itself."""
