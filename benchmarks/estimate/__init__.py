"""How honest the time left is: recordings of real runs, and the estimate judged by them."""
