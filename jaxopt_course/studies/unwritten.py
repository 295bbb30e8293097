"""What is said where the disk refused a part of the writing of a study."""

from pathlib import Path


def unwritten(directory: Path, whole: bool, resumable: bool) -> str:
    """What becomes of a study where the disk refused a part of the writing.

    Args:
        directory: of the study.
        whole: whether a reader finds it there all the same.
        resumable: whether checkpoints are there.
    """
    if whole:
        return (
            f"the study is whole in {directory}, and Study.load reads it; what could not be put "
            "in its place there yet is, by whatever works there next"
        )
    later = "save it once there is room, or elsewhere"
    if resumable:
        later = (
            "and once there is room, Study.resume(directory) or jaxopt-course resume writes it "
            "from the last checkpoint"
        )
    return (
        f"the study could not be written into {directory}; nothing is lost: it is this "
        f"exception's attribute .study, {later}"
    )
