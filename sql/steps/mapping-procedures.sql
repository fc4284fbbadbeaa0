-- [] A schema for the procedures of this step, while it runs
CREATE SCHEMA IF NOT EXISTS replank_mapping;

-- [] What a relation of this name is: 'r' or 'p' a table, 'v' a view; NULL where there is none
CREATE OR REPLACE FUNCTION replank_mapping.kind(of_schema text, of_name text) RETURNS "char"
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
  SELECT c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = of_schema AND c.relname = of_name
$body$;

-- [] Whether a relation has a column
CREATE OR REPLACE FUNCTION replank_mapping.has_column(relation regclass, of_name text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
  SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = of_name AND attnum > 0 AND NOT attisdropped)
$body$;

-- [] Renames columns that are there. Children and partitions get the new names with their parent
CREATE OR REPLACE PROCEDURE replank_mapping.rename_columns(of_table regclass, old text[], new text[])
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
  FOR i IN 1 .. cardinality(old) LOOP
    IF replank_mapping.has_column(of_table, old[i]) THEN
      EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', of_table, old[i], new[i]);
    END IF;
  END LOOP;
END
$body$;

-- [] The triggers of step 03 are told the key's columns by name
CREATE OR REPLACE PROCEDURE replank_mapping.rename_audited_key(of_table regclass, old text[], new text[])
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  trigger record;
  key text;
BEGIN
  FOR trigger IN
    SELECT pg_get_triggerdef(t.oid) AS definition,
           convert_from(substring(t.tgargs FOR length(t.tgargs) - 1), getdatabaseencoding()) AS key
      FROM pg_trigger t
     WHERE t.tgrelid = of_table AND t.tgname LIKE 'replank\_audit\_%' AND t.tgnargs = 1
  LOOP
    SELECT array_agg(coalesce(new[array_position(old, k.name)], k.name) ORDER BY k.n)::text INTO key
      FROM unnest(trigger.key::text[]) WITH ORDINALITY AS k (name, n);
    IF key <> trigger.key THEN
      EXECUTE replace(replace(trigger.definition, format('(%L)', trigger.key), format('(%L)', key)),
                      'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER');
    END IF;
  END LOOP;
END
$body$;

-- [] Sessions compile functions again that name the table: the row type that they have cached has other names now
CREATE OR REPLACE PROCEDURE replank_mapping.recompile(of_name text)
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  function record;
BEGIN
  FOR function IN
    SELECT p.oid::regprocedure AS signature, p.prosecdef FROM pg_proc p
      JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE l.lanname = 'plpgsql' AND n.nspname NOT LIKE 'replank%' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
       AND strpos(lower(p.prosrc), lower(of_name)) > 0 AND pg_has_role(current_user, p.proowner, 'USAGE')
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER ROUTINE %s SECURITY %s', function.signature,
                   CASE WHEN function.prosecdef THEN 'DEFINER' ELSE 'INVOKER' END);
  END LOOP;
END
$body$;

-- [] The view has the grants of its table, and no others
CREATE OR REPLACE PROCEDURE replank_mapping.grant_as(of_table regclass, of_view regclass, old text[], new text[])
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('REVOKE ALL ON %s FROM %s', of_view, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
      FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
     WHERE c.oid = of_view AND (a.grantee <> c.relowner
        OR EXISTS (SELECT FROM pg_class t WHERE t.oid = of_table AND t.relacl IS NOT NULL))
    GROUP BY 1
  LOOP
    EXECUTE statement;
  END LOOP;
  FOR statement IN
    SELECT format('GRANT %s%s ON %s TO %s%s', g.privilege_type, g.columns, of_view,
                  CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                  CASE WHEN bool_or(g.is_grantable) THEN ' WITH GRANT OPTION' ELSE '' END)
      FROM (SELECT a.privilege_type, '' AS columns, a.grantee, a.is_grantable
              FROM pg_class c, aclexplode(c.relacl) AS a WHERE c.oid = of_table
            UNION ALL
            SELECT a.privilege_type, format(' (%I)', coalesce(old[array_position(new, att.attname::text)], att.attname::text)),
                   a.grantee, a.is_grantable
              FROM pg_attribute att, aclexplode(att.attacl) AS a WHERE att.attrelid = of_table AND NOT att.attisdropped) AS g
     GROUP BY g.privilege_type, g.columns, g.grantee
  LOOP
    EXECUTE statement;
  END LOOP;
END
$body$;

-- [] A view of all columns under their old names, in their order. It can be written like the table
-- Rights and row security are the caller's. But the caller of such a view needs a right to read every column: so
-- where some may read single columns only, the view reads with its owner's rights, which are those of the table's.
CREATE OR REPLACE PROCEDURE replank_mapping.leave_view(of_schema text, of_name text, of_table regclass, old text[], new text[])
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  of_view text := format('%I.%I', of_schema, of_name);
  columns text;
  owner regrole;
  row_security boolean;
  by_column boolean;
BEGIN
  SELECT string_agg(format('%I AS %I', a.attname, coalesce(old[array_position(new, a.attname::text)], a.attname::text)),
                    ', ' ORDER BY a.attnum) INTO columns
    FROM pg_attribute a WHERE a.attrelid = of_table AND a.attnum > 0 AND NOT a.attisdropped;
  SELECT c.relowner, c.relrowsecurity,
         EXISTS (SELECT FROM pg_attribute a, aclexplode(a.attacl) AS x
                  WHERE a.attrelid = c.oid AND x.privilege_type = 'SELECT'
                    AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) AS w
                                     WHERE w.privilege_type = 'SELECT' AND w.grantee IN (0, x.grantee)))
    INTO owner, row_security, by_column FROM pg_class c WHERE c.oid = of_table;
  IF row_security AND by_column THEN
    RAISE EXCEPTION 'table % has row security, and some may read single columns of it only: no view can keep both', of_table;
  END IF;
  EXECUTE format('CREATE VIEW %s WITH (security_invoker = %s) AS SELECT %s FROM %s', of_view, (NOT by_column)::text, columns, of_table);
  IF owner <> current_user::regrole THEN
    EXECUTE format('ALTER VIEW %s OWNER TO %s', of_view, owner);
  END IF;
  CALL replank_mapping.grant_as(of_table, of_view::regclass, old, new);
  EXECUTE format('COMMENT ON VIEW %s IS %L', of_view,
                 concat_ws(E'\n', {{ mark }} || of_table, obj_description(of_table, 'pg_class')));
END
$body$;

-- [] Gives a table and its columns their new names, and leaves a view under the old ones
CREATE OR REPLACE PROCEDURE replank_mapping.rename_table(
  of_schema text, of_name text, to_name text, old text[], new text[], with_view boolean)
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  of_table regclass;
BEGIN
  IF replank_mapping.kind(of_schema, of_name) IN ('r', 'p') IS NOT TRUE THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', of_schema, of_name);
  of_table := format('%I.%I', of_schema, of_name)::regclass;
  CALL replank_mapping.rename_columns(of_table, old, new);
  CALL replank_mapping.rename_audited_key(of_table, old, new);
  IF to_name <> of_name THEN
    EXECUTE format('ALTER TABLE %s RENAME TO %I', of_table, to_name);
    IF with_view THEN
      CALL replank_mapping.leave_view(of_schema, of_name, of_table, old, new);
    END IF;
  END IF;
  CALL replank_mapping.recompile(of_name);
END
$body$;

-- [] Takes the view away and gives a table and its columns their old names again
CREATE OR REPLACE PROCEDURE replank_mapping.restore_table(of_schema text, of_name text, to_name text, old text[], new text[])
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
DECLARE
  of_table regclass;
  of_view text := format('%I.%I', of_schema, of_name);
BEGIN
  IF replank_mapping.kind(of_schema, of_name) = 'v'
     AND starts_with(obj_description(to_regclass(of_view), 'pg_class'), {{ mark }}) THEN
    -- The view first, then its table: as everybody who uses the view.
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', of_view);
    EXECUTE format('DROP VIEW %s', of_view);
  END IF;
  IF replank_mapping.kind(of_schema, to_name) IN ('r', 'p') IS NOT TRUE
     OR (to_name <> of_name AND replank_mapping.kind(of_schema, of_name) IS NOT NULL) THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', of_schema, to_name);
  of_table := format('%I.%I', of_schema, to_name)::regclass;
  CALL replank_mapping.rename_columns(of_table, new, old);
  CALL replank_mapping.rename_audited_key(of_table, new, old);
  IF to_name <> of_name THEN
    EXECUTE format('ALTER TABLE %s RENAME TO %I', of_table, of_name);
  END IF;
  CALL replank_mapping.recompile(of_name);
END
$body$;

