"""What a rebuild costs: against the offline ALTER TABLE, against bare SQL, and in memory."""
