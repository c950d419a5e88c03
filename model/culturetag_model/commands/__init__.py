"""The commands of `culturetag-model` that stand in files of their own, and what all commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turns what a user can mend into a one-line error and exit status 1; a bug keeps its traceback."""
    from culturetag_model.errors import CultureTagModelError

    try:
        yield
    except (CultureTagModelError, FileExistsError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
