"""Where every start begins: ``python -m s3napback``, and the console script."""

from s3napback.start import (
    forget_current_folder,
    keep_docstrings,
    open_standard_streams,
    own_what_is_made,
    seek_cycles_seldom,
    use_utf8,
)

_INTERRUPTED = 130  # as a run by SIGINT


def main() -> None:
    """Run the command line, taking nothing from the current folder."""
    forget_current_folder(run_as_module=__name__ == "__main__")
    open_standard_streams()
    own_what_is_made()
    use_utf8()
    keep_docstrings()
    seek_cycles_seldom()
    try:
        from s3napback.cli import main as run

        run()
    except KeyboardInterrupt:
        # Nothing has been begun yet; from then on signals are caught.
        raise SystemExit(_INTERRUPTED) from None


if __name__ == "__main__":
    main()
