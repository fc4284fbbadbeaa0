-- [] what step 11 has dropped is gone
DO $gone$
BEGIN
  RAISE EXCEPTION 'nothing comes back: step 11 has dropped what a way back would need'
    USING HINT = 'Restore a backup; before this step, the rollbacks of steps 08 to 10 lose nothing.';
END
$gone$;
