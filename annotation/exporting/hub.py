"""Putting a data set on the Hugging Face hub, or a server that speaks like it (`HF_ENDPOINT`)."""

import re
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]*[A-Za-z0-9]", re.A)
NO_TOKEN = "Nothing is put on the hub from here: set HF_TOKEN for the web server and the queue, and restart both."  # noqa: S105


def is_open() -> bool:
    return bool(settings.HUB_TOKEN)


def check(repository: str) -> None:
    """Raises ValidationError if this cannot be pushed to, with what to do."""
    if not is_open():
        raise ValidationError(NO_TOKEN)
    if len(repository) > 96 or not REPOSITORY.fullmatch(repository):
        raise ValidationError("Name the data set as its owner and its name, such as my-team/shop-desk.")


def push(folder: Path, repository: str) -> str:
    """Put the folder there, in one commit; a data set that is not there yet is made, private. Returns its address.

    Raises ValidationError with what to do.
    """
    check(repository)
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    hub = HfApi(token=settings.HUB_TOKEN)
    try:
        address = hub.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        hub.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            commit_message="Exported from Touchstone",
            delete_patterns=["*.parquet"],
        )
    except OfflineModeIsEnabled as error:
        raise ValidationError(
            "HF_HUB_OFFLINE is set for the queue: unset it, or push the downloaded file yourself."
        ) from error
    except HfHubHTTPError as error:
        code = error.response.status_code
        why = "the token may not write there" if code in (401, 403) else f"it answered {code}"
        raise ValidationError(f"The hub refused {repository}: {why}.") from error
    except (httpx2.HTTPError, OSError) as error:
        raise ValidationError(
            "The hub cannot be reached from this server. The file is ready: download it, and push it from elsewhere "
            f"with “hf upload {repository} FOLDER --repo-type dataset”."
        ) from error
    return str(address)
