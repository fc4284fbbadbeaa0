-- [] what step 11 has dropped cannot be restored
DO $gone$
BEGIN
  RAISE EXCEPTION 'nothing can be rolled back: step 11 has dropped what a rollback would need'
    USING HINT = 'Restore a backup; before this step, the rollbacks of steps 08 to 10 lose nothing.';
END
$gone$;
