"""The form field of a share: people read and enter percent, the code has a number from 0 to 1."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError


class PercentField(forms.FloatField):
    """A share, shown and entered in percent; `most` is the largest, in percent.

    >>> PercentField(most=100).clean("70"), PercentField(most=100).prepare_value(0.07)
    (0.7, '7')
    """

    def __init__(self, *, most: int, least: int = 0, **kwargs: Any) -> None:
        super().__init__(min_value=least, max_value=most, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """A share becomes percent; what somebody typed stays as it is."""
        return f"{100 * value:g}" if isinstance(value, int | float) else value

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value is not None and 0 < value < 1:  # whoever thinks of a share would ask for a hundredth of what is meant
            raise ValidationError("In percent: 70 is seven in ten.", code="share")

    def clean(self, value: Any) -> float | None:
        """The share. Raises ValidationError, in percent."""
        percent = super().clean(value)
        return None if percent is None else percent / 100
