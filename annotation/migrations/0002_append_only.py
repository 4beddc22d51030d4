"""Labels, judgements and events are append-only; the database holds everybody to it.

A label may only be marked as retracted, once. Rows can still be truncated with their whole table.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION touchstone_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'annotation_label' AND to_jsonb(OLD) ->> 'retracted_at' IS NULL
       AND to_jsonb(NEW) - 'retracted_at' = to_jsonb(OLD) - 'retracted_at' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON annotation_label
    FOR EACH ROW EXECUTE FUNCTION touchstone_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON annotation_judgement
    FOR EACH ROW EXECUTE FUNCTION touchstone_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON annotation_event
    FOR EACH ROW EXECUTE FUNCTION touchstone_append_only();
"""

BACKWARD = """
DROP TRIGGER append_only ON annotation_label;
DROP TRIGGER append_only ON annotation_judgement;
DROP TRIGGER append_only ON annotation_event;
DROP FUNCTION touchstone_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
