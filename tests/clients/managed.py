"""What a role that is no superuser can do for clients that send ids as typed text; docs/clients.md shows it."""

OPERATORS = """
CREATE SCHEMA bridge;
CREATE FUNCTION bridge.same(uuid, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2::uuid';
CREATE FUNCTION bridge.same(text, uuid) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::uuid = $2';
CREATE FUNCTION bridge.differs(uuid, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> $2::uuid';
CREATE FUNCTION bridge.differs(text, uuid) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::uuid <> $2';
CREATE OPERATOR bridge.= (LEFTARG = uuid, RIGHTARG = text, FUNCTION = bridge.same);
CREATE OPERATOR bridge.= (LEFTARG = text, RIGHTARG = uuid, FUNCTION = bridge.same);
CREATE OPERATOR bridge.<> (LEFTARG = uuid, RIGHTARG = text, FUNCTION = bridge.differs);
CREATE OPERATOR bridge.<> (LEFTARG = text, RIGHTARG = uuid, FUNCTION = bridge.differs);
ALTER ROLE app IN DATABASE DATABASE_NAME SET search_path = public, bridge;
"""

VIEWS = """
CREATE SCHEMA texts;
CREATE INDEX ON public.item ((id::text));
CREATE INDEX ON public.owner ((id::text));
CREATE VIEW public.owner_texts AS SELECT id::text AS id, name FROM public.owner;
CREATE VIEW public.item_texts AS SELECT id::text AS id, owner_id::text AS owner_id, note FROM public.item;
CREATE VIEW texts.owner AS SELECT * FROM public.owner_texts;
CREATE VIEW texts.item AS SELECT * FROM public.item_texts;
CREATE FUNCTION texts.write_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.item (id, owner_id, note) VALUES (NEW.id::uuid, NEW.owner_id::uuid, NEW.note);
    RETURN NEW;
  ELSIF TG_OP = 'UPDATE' THEN
    UPDATE public.item SET id = NEW.id::uuid, owner_id = NEW.owner_id::uuid, note = NEW.note WHERE id::text = OLD.id;
    RETURN NEW;
  END IF;
  DELETE FROM public.item WHERE id::text = OLD.id;
  RETURN OLD;
END $$;
CREATE TRIGGER write_item INSTEAD OF INSERT OR UPDATE OR DELETE ON texts.item
  FOR EACH ROW EXECUTE FUNCTION texts.write_item();
ALTER ROLE app IN DATABASE DATABASE_NAME SET search_path = texts, public;
"""
