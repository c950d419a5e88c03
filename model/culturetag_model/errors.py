"""The base of every error that a user of this package can mend: a wrong file, a wrong option, a disagreement."""


class CultureTagModelError(ValueError):
    """The message says what is wrong and where, and is fit to be shown without a traceback."""
