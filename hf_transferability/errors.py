"""Errors, named after what the caller can do about them. Each text ends with the remedy."""


class TransferabilityError(Exception):
    """Base of every error that this package raises on purpose; the command line prints its text without a traceback."""


class UsageError(TransferabilityError, ValueError):
    """An argument is wrong: an unknown split or column, one class only, too few images. Change the call."""


class TargetError(TransferabilityError):
    """The target dataset cannot be read: corrupt images, no access, no network. Mend the data or the connection."""


class CheckpointError(TransferabilityError):
    """A checkpoint cannot be scored. The rest of the pool still is; the text says why and what to change."""


class PublishError(TransferabilityError):
    """Results cannot be published: not logged in, no access, a name that is taken, no network. Nothing was changed."""


class UndefinedAgreement(TransferabilityError, ValueError):
    """Two orders cannot be compared: one of them is constant, or there are too few candidates. The text says which."""
