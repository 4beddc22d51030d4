"""Forms of what is brought in: files or a dataset of the hub, and what an upload is."""

from typing import Any

from django import forms

from annotation.shapes import SHAPES

AS_USUAL = ""


class Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    widget = Files

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        several = data if isinstance(data, list | tuple) else [data]
        return [super(FilesField, self).clean(one, initial) for one in several if one] or (
            [super().clean(None, initial)] if self.required else []
        )


class UploadForm(forms.Form):
    file = FilesField(
        label="Files",
        required=False,
        help_text="JSON Lines, JSON, CSV or Parquet; also compressed, as .gz or .zip.",
        error_messages={"empty": "The file is empty."},
    )
    hub = forms.CharField(
        label="Or a dataset of the Hugging Face hub",
        required=False,
        max_length=200,
        help_text="Its name, as owner/name; with a configuration and a split, owner/name:configuration:split.",
    )

    def clean(self) -> dict[str, Any]:
        if not self.errors and not self.cleaned_data["file"] and not self.cleaned_data["hub"]:
            self.add_error("file", "Choose a file, or name a dataset.")
        return self.cleaned_data


class ShapeForm(forms.Form):
    """What kind of data an upload is, and which of its columns play which part."""

    shape = forms.ChoiceField(
        label="Kind", required=False, error_messages={"invalid_choice": "There is no such kind of data."}
    )

    def __init__(
        self, data: Any = None, *, shape: str, mapping: dict[str, str], columns: list[str], usual: dict[str, str]
    ) -> None:
        super().__init__(data, initial={"shape": shape, **{f"part_{part}": name for part, name in mapping.items()}})
        titles = [(name, one.title) for name, one in SHAPES.items()]
        self.fields["shape"].choices = titles if shape else [("", "Not recognised: choose"), *titles]  # type: ignore[attr-defined]
        self.parts = list(SHAPES[shape].fields) if shape in SHAPES else []
        for part in self.parts:
            here = usual.get(part, "")
            as_usual = f"{here} (as usual)" if here else "none"
            others = [(name, name) for name in columns if name != here]
            self.fields[f"part_{part}"] = forms.ChoiceField(
                label=part.replace("_", " ").capitalize(), required=False, choices=[(AS_USUAL, as_usual), *others]
            )

    def mapping(self) -> dict[str, str]:
        """The parts that another column plays than usual."""
        named = {part: self.cleaned_data.get(f"part_{part}", "") for part in self.parts}
        return {part: name for part, name in named.items() if name}

    def part_fields(self) -> list[Any]:
        return [self[f"part_{part}"] for part in self.parts]
