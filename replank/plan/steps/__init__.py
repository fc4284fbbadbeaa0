"""What a plan says of the steps that are scripts, and of the names they give."""
