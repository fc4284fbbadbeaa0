-- keep: jobs were sent again
INSERT INTO replank.resend (run_id, cause, jobs) VALUES (%(run_id)s, %(cause)s, %(jobs)s);

-- lately: jobs sent again within so many seconds, by cause, the most frequent first
SELECT cause, sum(jobs)::int AS jobs FROM replank.resend
 WHERE run_id = %(run_id)s AND at > statement_timestamp() - %(seconds)s * interval '1 second' GROUP BY cause ORDER BY 2 DESC, 1;

-- totals: jobs sent again since the run began, by cause
SELECT cause, sum(jobs)::bigint AS jobs FROM replank.resend WHERE run_id = %(run_id)s GROUP BY cause;
