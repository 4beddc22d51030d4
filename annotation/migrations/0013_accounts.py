"""Ended sessions and erased people. An erased person's name may be replaced in events, and nothing else in them."""

from django.db import migrations, models

FORWARD = """
CREATE FUNCTION touchstone_renamed(data jsonb, old text, new text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN one.value -> 'people' ? old THEN jsonb_set(one.value, '{people}', (
        SELECT jsonb_agg(CASE WHEN name = to_jsonb(old) THEN to_jsonb(new) ELSE name END ORDER BY place)
        FROM jsonb_array_elements(one.value -> 'people') WITH ORDINALITY AS each (name, place)
    )) ELSE one.value END
    FROM (
        SELECT CASE WHEN data ->> 'person' = old THEN jsonb_set(data, '{person}', to_jsonb(new)) ELSE data END AS value
    ) one
$$;
CREATE OR REPLACE FUNCTION touchstone_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    pseudonym text := current_setting('touchstone.pseudonym', true);
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'annotation_label' AND to_jsonb(OLD) ->> 'retracted_at' IS NULL
       AND to_jsonb(NEW) - 'retracted_at' = to_jsonb(OLD) - 'retracted_at' THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'annotation_event' AND pseudonym <> ''
       AND to_jsonb(NEW) - 'data' = to_jsonb(OLD) - 'data'
       AND to_jsonb(NEW) -> 'data' = touchstone_renamed(
           to_jsonb(OLD) -> 'data', current_setting('touchstone.erased_name', true), pseudonym
       )
       AND EXISTS (SELECT FROM annotation_user WHERE username = pseudonym AND erased_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""

BACKWARD = """
CREATE OR REPLACE FUNCTION touchstone_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'annotation_label' AND to_jsonb(OLD) ->> 'retracted_at' IS NULL
       AND to_jsonb(NEW) - 'retracted_at' = to_jsonb(OLD) - 'retracted_at' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
DROP FUNCTION touchstone_renamed(jsonb, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0012_keys_and_webhooks"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [
        migrations.AddField(
            "user",
            "erased_at",
            models.DateTimeField(
                blank=True, editable=False, help_text="Since when nothing here says who they were.", null=True
            ),
        ),
        migrations.AddField("user", "sessions_ended_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddConstraint(
            "user",
            models.CheckConstraint(
                condition=models.Q(erased_at__isnull=True)
                | models.Q(is_active=False, is_staff=False, is_superuser=False, email="", first_name="", last_name=""),
                name="erased_person_is_nobody",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
