"""The console command: how commands are grouped, the options that several share."""
