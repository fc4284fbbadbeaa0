-- try_to_follow: of several followers of one receiver only one delivers, for as long as its session lives
SELECT pg_try_advisory_lock(1919250540, ('x' || left(%(receiver)s, 8))::bit(32)::int);
